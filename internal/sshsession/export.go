package sshsession

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"
)

// aliasForm is what may stand for a host in an exported file. Lower case, because OpenSSH lowers a pattern of known_hosts before it
// compares, but not a HostKeyAlias (match_pattern_list, ssh_config(5)).
var aliasForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// exportHead begins an exported file and names the instance that it is about.
const exportHead = "# emr-accessd writes this file. Host keys of "

// maxExport bounds an exported file, in bytes: it has a handful of keys.
const maxExport = 64 << 10

// KnownHosts are the lines of known_hosts(5) that pin the stored keys of an instance to an alias. None stored is an error.
func (s *Store) KnownHosts(instance, alias string) (string, error) {
	if !aliasForm.MatchString(alias) {
		return "", fmt.Errorf("%q cannot stand for a host in known_hosts", printable(alias))
	}
	pins, err := s.Keys(instance)
	if err != nil {
		return "", err
	}
	if len(pins) == 0 {
		return "", fmt.Errorf("%w: no key of %s is stored", ErrUnverified, instance)
	}
	var b strings.Builder
	for _, p := range pins {
		fmt.Fprintf(&b, "%s %s\n", alias, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p.Key))))
	}
	return b.String(), nil
}

// Export writes the KnownHosts of an instance to a file of its own, for OpenSSH. The alias stays when another instance comes to serve
// it; the file is then replaced. It is written only where it differs, at once, with mode 0600.
func (s *Store) Export(file, instance, alias string) error {
	lines, err := s.KnownHosts(instance, alias)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("host keys for ssh: %w", err)
	}
	if err := checkFolder(filepath.Dir(file)); err != nil {
		return err
	}
	text := exportHead + instance + "\n" + lines
	if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o022 == 0 {
		if old, err := readExport(file); err == nil && bytes.Equal(old, []byte(text)) {
			return nil
		}
	}
	return replaceFile(file, text)
}

// Exported tells which instance an exported file is about; "" if there is no such file.
func Exported(file string) (instance string, err error) {
	data, err := readExport(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("host keys for ssh: %w", err)
	}
	return exportedInstance(string(data)), nil
}

func exportedInstance(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	id, ok := strings.CutPrefix(strings.TrimRight(first, "\r"), exportHead)
	if !ok || !instanceID.MatchString(id) {
		return ""
	}
	return id
}

func readExport(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxExport))
}
