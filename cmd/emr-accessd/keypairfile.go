package main

import (
	"bufio"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxAWSConfig bounds the AWS CLI's configuration, in bytes.
const maxAWSConfig = 1 << 20

// keyPairFile is the key that `aws configure set emr.key_pair_file` has named for a profile: `aws emr ssh` uses it, and
// so do its users here. "" for none. A profile that is empty is the one of the environment.
func keyPairFile(profile string) string {
	home, err := os.UserHomeDir()
	path := os.Getenv("AWS_CONFIG_FILE")
	if path == "" {
		if err != nil {
			return ""
		}
		path = filepath.Join(home, ".aws", "config")
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	file := readKeyPairFile(io.LimitReader(f, maxAWSConfig), cmp.Or(profile, os.Getenv("AWS_PROFILE"), "default"))
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		file = filepath.Join(home, rest)
	}
	return file
}

// readKeyPairFile looks for it in the file's text: an indented line below "emr =" in the section of the profile.
func readKeyPairFile(r io.Reader, profile string) string {
	section, key := "", ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
		case text[0] == '[':
			name, _, _ := strings.Cut(text[1:], "]")
			key, section = "", strings.TrimSpace(name)
			if rest, ok := strings.CutPrefix(section, "profile "); ok {
				section = strings.Trim(strings.TrimSpace(rest), `"'`)
			} else if section != "default" {
				section = "" // such as [sso-session x]
			}
		case line[0] != ' ' && line[0] != '\t':
			name, _, _ := strings.Cut(text, "=")
			key = strings.TrimSpace(name)
		case section == profile && key == "emr":
			if name, value, ok := strings.Cut(text, "="); ok && strings.TrimSpace(name) == "key_pair_file" {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}
