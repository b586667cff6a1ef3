package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

const optionsHost = "j-2AXXXXXXGAPLF"

// plain is an expansion without a home.
func plain(value, host, login string) (string, error) {
	tokens := map[byte]string{'d': "/home/me", 'h': strings.ToLower(host), 'n': host, 'r': login, 'u': "me", '%': "%"}
	return expandPath(value, tokens, "/home/me", func(name string) (string, bool) { return "/of/" + name, name != "UNSET" })
}

// What real ssh makes of a configuration is read: what it sets, and nothing that it does not.
func TestOptionsOfRealSSH(t *testing.T) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		mototest.Need(t, "OpenSSH's client", err)
	}
	read := func(text string) (sshOptions, []string) {
		t.Helper()
		config := filepath.Join(t.TempDir(), "my config")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := querySSH(t.Context(), program, config, optionsHost)
		if err != nil {
			t.Fatal(err)
		}
		return parseSSHOptions(out, optionsHost, plain)
	}
	o, warnings := read("Host j-2A*\n  User alice\n  Port 2222\n  IdentityFile ~/.ssh/team.pem\n  IdentityFile \"%d/my keys/%h-%r.pem\"\n  IdentityFile ${KEY}\n  IdentityFile %C.pem\n" +
		"  IdentitiesOnly yes\n  IdentityAgent /home/me/agent.sock\n  CertificateFile ~/.ssh/team-cert.pub\n  ServerAliveInterval 7\n  ServerAliveCountMax 2\n" +
		"  ConnectTimeout 9\n  SetEnv TEAM=data\n  SendEnv EDITOR X_*\n  ProxyJump bastion\n")
	if o.user != "alice" || o.port != 2222 || !o.onlyIdentity || o.agent != "/home/me/agent.sock" || o.alive != 7*time.Second || o.aliveMisses != 2 ||
		o.connectTimeout != 9*time.Second || o.jump != "ProxyJump" || !slices.Equal(o.setEnv, []string{"TEAM=data"}) ||
		!slices.Contains(o.sendEnv, "X_*") || !slices.Equal(o.certificates, []string{"/home/me/.ssh/team-cert.pub"}) {
		t.Errorf("%+v", o)
	}
	if want := []string{"/home/me/.ssh/team.pem", "/home/me/my keys/j-2axxxxxxgaplf-alice.pem", "/of/KEY"}; !slices.Equal(o.identity, want) {
		t.Errorf("identity files %q, want %q", o.identity, want)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "%C") {
		t.Errorf("warnings %q", warnings)
	}
	o, warnings = read("Host other\n  User bob\n")
	o.sendEnv = nil // the system's own configuration
	if o.user != "" || len(o.identity) > 0 || o.agent != "" || o.noAgent || o.onlyIdentity || o.alive != 0 || o.connectTimeout != 0 || o.jump != "" || len(warnings) > 0 {
		t.Errorf("what is not set: %+v, %q", o, warnings)
	}
	o, _ = read("Host *\n  IdentityAgent none\n  ProxyCommand /usr/bin/emr-accessd proxy --region=eu-west-1 j-2AXXXXXXGAPLF\n")
	if !o.noAgent || o.jump != "" {
		t.Errorf("our own proxy: %+v", o)
	}
	if exec.Command(program, "-G", "-o", "KnownHostsCommand=none", optionsHost).Run() == nil { // OpenSSH 8.5
		if o, _ = read("Host *\n  KnownHostsCommand /bin/echo\n"); !o.hostsCommand {
			t.Errorf("a command for host keys: %+v", o)
		}
	}
	o, _ = read("Host *\n  ProxyCommand nc %h %p\n")
	if o.hostsCommand {
		t.Errorf("no command for host keys: %+v", o)
	}
	if o.jump != "ProxyCommand" {
		t.Errorf("another proxy: %+v", o)
	}
	config := filepath.Join(t.TempDir(), "config")
	_ = os.WriteFile(config, []byte("Hots *\n"), 0o600)
	if _, err := querySSH(t.Context(), program, config, optionsHost); err == nil || !strings.Contains(err.Error(), "Bad configuration option") {
		t.Errorf("a broken configuration: %v", err)
	}
	_ = os.WriteFile(config, []byte("Match exec \"sleep 60\"\n  User x\n"), 0o600)
	begin := time.Now()
	if _, err := querySSH(t.Context(), program, config, optionsHost); err == nil || time.Since(begin) > 30*time.Second {
		t.Errorf("a configuration that hangs: %v after %v", err, time.Since(begin))
	}
}

func TestExpandPath(t *testing.T) {
	for in, want := range map[string]string{
		"~": "/home/me", "~/a": "/home/me/a", "/a%%b": "/a%b", "a~": "a~", "%d/%u": "/home/me/me", "${X}/y": "/of/X/y", "$X": "$X",
		"~bob/a": "", "%": "", "%i": "", "${UNSET}": "", "${X": "", "": "",
	} {
		got, err := plain(in, optionsHost, "hadoop")
		if got != want || (err != nil) != (want == "" && in != "") {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
}

// Whatever ssh prints: no panic, no number out of its range, and no file that is not named.
func FuzzSSHOptions(f *testing.F) {
	f.Add("user alice\nport 22\nidentityfile ~/.ssh/id\nidentityagent $SOCK\nproxyjump none\nserveraliveinterval -1\n")
	f.Add("connecttimeout 99999999999999999999\nport 70000\nidentityfile %\nidentityfile ${\nsetenv \x1b[2J\n")
	f.Fuzz(func(t *testing.T, text string) {
		o, _ := parseSSHOptions(text, optionsHost, plain)
		if o.port < 0 || o.port > 65535 || o.alive < 0 || o.alive > 24*time.Hour || o.aliveMisses < 0 || o.connectTimeout < 0 || o.connectTimeout > 24*time.Hour {
			t.Errorf("%q: %+v", text, o)
		}
		if slices.Contains(o.identity, "") || slices.Contains(o.certificates, "") || o.user == unsetUser {
			t.Errorf("%q: %+v", text, o)
		}
	})
}

func TestKeyPairFile(t *testing.T) {
	const text = `# written by aws configure set emr.key_pair_file
[default]
region = eu-west-1
emr =
    key_pair_file = ~/my key.pem
    service_role = x
s3 =
    key_pair_file = /wrong.pem
[profile 'my work']
emr =
	key_pair_file=/work.pem
[profile bare]
key_pair_file = /wrong.pem
[sso-session default]
emr =
    key_pair_file = /wrong.pem
[work]
emr =
    key_pair_file = /wrong.pem
`
	for profile, want := range map[string]string{"default": "~/my key.pem", "my work": "/work.pem", "bare": "", "work": "", "none": ""} {
		if got := readKeyPairFile(strings.NewReader(text), profile); got != want {
			t.Errorf("%q: %q, want %q", profile, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("HOME", "/home/me")
	t.Setenv("USERPROFILE", "/home/me")
	t.Setenv("AWS_PROFILE", "my work")
	if got := keyPairFile(""); got != "/work.pem" {
		t.Errorf("the profile of the environment: %q", got)
	}
	if got := keyPairFile("default"); got != filepath.Join("/home/me", "my key.pem") {
		t.Errorf("below the home: %q", got)
	}
	t.Setenv("AWS_CONFIG_FILE", file+"-none")
	if got := keyPairFile("default"); got != "" {
		t.Errorf("no file: %q", got)
	}
}
