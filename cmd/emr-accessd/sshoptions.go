package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// sshOptions are what the user's ssh configuration says about a host, as far as the built-in client follows it
// (ssh_config(5)). Zero values are what it does not say.
type sshOptions struct {
	user           string
	port           int
	identity       []string // private key files
	certificates   []string
	onlyIdentity   bool   // IdentitiesOnly
	agent          string // socket or pipe; empty: the usual one
	noAgent        bool
	alive          time.Duration // ServerAliveInterval
	aliveMisses    int           // ServerAliveCountMax
	connectTimeout time.Duration
	sendEnv        []string
	setEnv         []string
	hostsCommand   bool   // there is a KnownHostsCommand
	jump           string // "ProxyJump" or "ProxyCommand", where there is one that is not ours
}

// sshQueryTime bounds the question to ssh: a configuration may run commands (Match exec).
const sshQueryTime = 3 * time.Second

// unsetUser stands for a User that the configuration does not name: ssh would tell the local user's name then.
const unsetUser = "emr-accessd-unset"

// askSSH has the system's ssh read the user's configuration about a host: nobody else knows all of its syntax. Without a
// configuration or without ssh there is nothing to follow. What is wrong with it is told, and no reason to stop.
func (a *app) askSSH(ctx context.Context, host string) sshOptions {
	folder := sshFolder()
	config := filepath.Join(folder, "config")
	info, err := os.Stat(config)
	program, perr := exec.LookPath("ssh")
	if folder == "" || err != nil || perr != nil || !clusterID.MatchString(host) {
		return sshOptions{}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 { // ssh refuses it too, where it is not included
		a.ignoreSSH(fmt.Errorf("%s may be written by others (mode %04o)", config, info.Mode().Perm()))
		return sshOptions{}
	}
	text, err := querySSH(ctx, program, config, host)
	if err != nil {
		a.ignoreSSH(err)
		return sshOptions{}
	}
	o, warnings := parseSSHOptions(text, host, expander())
	for _, w := range warnings {
		a.ignoreSSH(errors.New(w))
	}
	return o
}

func (a *app) ignoreSSH(why error) {
	fmt.Fprintf(a.Err, "emr-accessd: warning: not followed in your ssh configuration: %s\n", printable(why.Error()))
}

// querySSH runs `ssh -G`. The configuration is read through a file of ours that ends with values which say "not set".
func querySSH(ctx context.Context, program, config, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sshQueryTime)
	defer cancel()
	system := "/etc/ssh/ssh_config"
	if runtime.GOOS == "windows" {
		config, system = filepath.ToSlash(config), filepath.ToSlash(filepath.Join(os.Getenv("ProgramData"), "ssh", "ssh_config"))
	}
	if strings.ContainsAny(config+system, "\"\r\n*?[%$") { // Include takes patterns, and newer versions replace tokens
		return "", fmt.Errorf("the path %q", config)
	}
	f, err := os.CreateTemp("", "emr-accessd-ssh-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(f.Name()) }() // one that stays holds nothing
	_, err = fmt.Fprintf(f, "Include \"%s\"\nInclude \"%s\"\nMatch all\n    User %s\n    IdentityFile none\n", config, system, unsetUser)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program, "-F", f.Name(), "-G", "--", host)
	cmd.WaitDelay = time.Second
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", fmt.Errorf("`ssh -G` takes longer than %v", sshQueryTime)
	}
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(problem.String()), "\n")
		return "", fmt.Errorf("`ssh -G` says %s (%w)", cut(said, 200), err)
	}
	return out.String(), nil
}

// parseSSHOptions reads what `ssh -G` printed. What cannot be followed is told in warnings.
func parseSSHOptions(text, host string, expand func(value, host, user string) (string, error)) (o sshOptions, warnings []string) {
	values := map[string][]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if value != "" {
			values[key] = append(values[key], value)
		}
	}
	first := func(key string) string {
		if v := values[key]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	number := func(key string, most int) int {
		n, err := strconv.Atoi(first(key))
		if err != nil || n < 0 || n > most {
			return 0
		}
		return n
	}
	if u := first("user"); u != unsetUser {
		o.user = u
	}
	path := func(key, value string) string {
		p, err := expand(value, host, o.user)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s %s: %v", key, value, err))
			return ""
		}
		return p
	}
	files := func(key, name string) (out []string) {
		for _, v := range values[key] {
			if v == "none" {
				continue
			}
			if p := path(name, v); p != "" {
				out = append(out, p)
			}
		}
		return out
	}
	o.port = number("port", 65535)
	o.identity, o.certificates = files("identityfile", "IdentityFile"), files("certificatefile", "CertificateFile")
	o.onlyIdentity = first("identitiesonly") == "yes"
	switch v := first("identityagent"); {
	case v == "none":
		o.noAgent = true
	case v == "", v == "SSH_AUTH_SOCK":
	case strings.HasPrefix(v, "$") && !strings.HasPrefix(v, "${"):
		if o.agent = os.Getenv(v[1:]); o.agent == "" {
			o.noAgent = true
		}
	default:
		o.agent = path("IdentityAgent", v)
	}
	const day = 24 * 60 * 60
	o.alive, o.aliveMisses = time.Duration(number("serveraliveinterval", day))*time.Second, number("serveralivecountmax", 1000)
	o.connectTimeout = time.Duration(number("connecttimeout", day)) * time.Second
	o.sendEnv, o.setEnv = values["sendenv"], values["setenv"]
	o.hostsCommand = first("knownhostscommand") != "" && first("knownhostscommand") != "none"
	ours := func(command string) bool {
		return strings.Contains(command, " proxy ") && strings.Contains(command, "emr-accessd")
	}
	if v := first("proxyjump"); v != "" && v != "none" {
		o.jump = "ProxyJump"
	} else if v := first("proxycommand"); v != "" && v != "none" && !ours(v) {
		o.jump = "ProxyCommand"
	}
	return o, warnings
}

// expander replaces what ssh replaces in the paths of keys and sockets: ~, the tokens that are known here, and ${NAME}.
func expander() func(value, host, login string) (string, error) {
	home, local := "", ""
	if u, err := user.Current(); err == nil {
		home, local = u.HomeDir, u.Username
	}
	return func(value, host, login string) (string, error) {
		return expandPath(value, map[byte]string{'d': home, 'h': strings.ToLower(host), 'n': host, 'r': login, 'u': local, '%': "%"}, home, os.LookupEnv)
	}
}

func expandPath(value string, tokens map[byte]string, home string, lookup func(string) (string, bool)) (string, error) {
	if rest, ok := strings.CutPrefix(value, "~"); ok {
		if rest != "" && !os.IsPathSeparator(rest[0]) {
			return "", errors.New("another user's folder is not looked for")
		}
		value = strings.ReplaceAll(home, "%", "%%") + rest
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '%':
			i++
			token := ""
			if i < len(value) {
				token = tokens[value[i]]
			}
			if token == "" {
				return "", errors.New("it has a % that only ssh itself knows")
			}
			b.WriteString(token)
		case strings.HasPrefix(value[i:], "${"):
			name, _, ok := strings.Cut(value[i+2:], "}")
			v, set := lookup(name)
			if !ok || !set {
				return "", errors.New("it names a variable that is not set")
			}
			b.WriteString(v)
			i += len(name) + 2
		default:
			b.WriteByte(value[i])
		}
	}
	return b.String(), nil
}
