package main

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"unicode"
)

var (
	// literalID is a cluster's id as EMR writes it.
	literalID = regexp.MustCompile(`^j-[0-9A-Z]{8,20}$`)
	// literalSuffix is what nodeChoice makes of a node: "-core-0", "-i-0abc…", or nothing.
	literalSuffix = regexp.MustCompile(`^(-[a-z]{1,10}(-[0-9a-f]{1,17})?)?$`)
	loginName     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
)

// sshHost is what one block of an ssh configuration is made of. Nothing in it comes from outside but the cluster's
// id, which is checked: older versions of OpenSSH run what a name has of shell characters, so names and the
// tokens %n and %h stay out.
type sshHost struct {
	Cluster    string   // its id
	Suffix     string   // of a nodeChoice: which of its nodes
	Login      string   // user to log in as
	Program    string   // absolute path of this program
	Flags      []string // of proxy, with their values
	KnownHosts string   // absolute path
	Identity   []string // absolute paths
	System     string   // as runtime.GOOS
}

// name is the host's name for ssh.
func (h sshHost) name() string { return h.Cluster + h.Suffix }

// render writes the block (ssh_config(5)). It fails on what cannot be written safely.
func (h sshHost) render() (string, error) {
	if !literalID.MatchString(h.Cluster) || !literalSuffix.MatchString(h.Suffix) {
		return "", fmt.Errorf("%.40q is no cluster id", h.Cluster+h.Suffix)
	}
	if !loginName.MatchString(h.Login) {
		return "", hinted{fmt.Errorf("%.40q is no name to log in as", h.Login), exitUsage, "give another --login"}
	}
	command, err := h.proxyCommand()
	if err != nil {
		return "", err
	}
	hosts, err := configWord(h.KnownHosts, h.System)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "    %s %s\n", key, value) }
	fmt.Fprintf(&b, "Host %s %s\n", h.name(), strings.ToLower(h.name()))
	line("HostName", h.name())
	line("User", h.Login)
	line("ProxyCommand", command)
	if h.System != "windows" {
		line("ProxyUseFdpass", "yes")
	}
	line("HostKeyAlias", hostAlias(h.name()))
	line("UserKnownHostsFile", hosts)
	line("GlobalKnownHostsFile", hosts) // the system's file may have lines for all hosts
	line("StrictHostKeyChecking", "yes")
	line("VerifyHostKeyDNS", "no") // "yes" takes a key from the DNS, whatever the files say
	line("UpdateHostKeys", "no")
	line("CanonicalizeHostname", "no")
	for _, file := range h.Identity {
		word, err := configWord(file, h.System)
		if err != nil {
			return "", err
		}
		line("IdentityFile", word)
	}
	line("ServerAliveInterval", "15")
	return b.String(), nil
}

// proxyCommand is a line for the user's shell, in which ssh replaces tokens that begin with %.
func (h sshHost) proxyCommand() (string, error) {
	words := append([]string{h.Program, "proxy"}, h.Flags...)
	if h.System == "windows" {
		words[0] = strings.ReplaceAll(words[0], `\`, "/")
	}
	for i, w := range words {
		if err := writable(w, h.System); err != nil {
			return "", err
		}
		if !plainWord(w) {
			quote := "'"
			if h.System == "windows" {
				quote = `"`
			}
			w = quote + w + quote
		}
		words[i] = strings.ReplaceAll(w, "%", "%%")
	}
	return strings.Join(append(words, h.Cluster), " "), nil
}

// configWord is an argument of ssh_config(5): in quotes where it has spaces, with % doubled for what knows tokens.
func configWord(s, system string) (string, error) {
	if system == "windows" {
		s = strings.ReplaceAll(s, `\`, "/")
	}
	if err := writable(s, system); err != nil {
		return "", err
	}
	if strings.HasPrefix(s, "~") || s == "" {
		return "", fmt.Errorf("%q cannot stand in an ssh configuration", s)
	}
	s = strings.ReplaceAll(s, "%", "%%")
	if plainWord(s) {
		return s, nil
	}
	return `"` + s + `"`, nil
}

// errUnwritable: an ssh configuration goes through up to three readers (ssh's own, its tokens, a shell), whose
// quoting differs from version to version. What any of them may read otherwise is refused rather than escaped.
var errUnwritable = errors.New("has a character that cannot be written into an ssh configuration safely")

func writable(s, system string) error {
	bad := "'\"`\\!$"
	if system == "windows" {
		bad += "%^&|<>"
	}
	if strings.ContainsAny(s, bad) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return hinted{fmt.Errorf("%q %w", s, errUnwritable), exitUsage, "move or link the file to a path of letters, digits and spaces, or give another value"}
	}
	return nil
}

// plainWord reports whether a word means itself to every shell and to ssh.
func plainWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+@:,=%", r)
	})
}

// shellWord quotes a word of a command that is shown to be copied.
func shellWord(s string) string {
	if plainWord(s) {
		return s
	}
	if runtime.GOOS == "windows" {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
