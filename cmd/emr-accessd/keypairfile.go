package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
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

// keyLookup is how long may be looked for the keys of the clusters' key pairs: without them the blocks are good too.
const keyLookup = 5 * time.Second

// identities are the key files for a cluster: those that were named, or else the one that holds the cluster's key pair, where
// there is one. Nothing is said when it is not found: ssh tries its usual keys then.
func (a *app) identities(ctx context.Context, named []string, t keeper.Target, id string) []string {
	if len(named) > 0 {
		return named
	}
	if a.client(t) == nil {
		if _, err := a.open(ctx, t.Profile, t.Region); err != nil {
			return nil
		}
	}
	c, err := a.client(t).Cluster(ctx, id)
	if err != nil {
		return nil
	}
	l := sshsession.Login{Folder: sshFolder(), WantPublicKey: a.keyPair(ctx, t, c.KeyName)}
	if file := keyPairFile(t.Profile); file != "" {
		l.Files = []string{file}
	}
	file, err := filepath.Abs(l.WantedFile())
	if err != nil || l.WantedFile() == "" {
		return nil
	}
	if _, err := configWord(file, runtime.GOOS); err != nil {
		fmt.Fprintf(a.Err, "emr-accessd: warning: the key of the cluster's key pair is left out: %s\n", printable(err.Error()))
		return nil
	}
	return []string{file}
}
