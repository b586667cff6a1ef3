package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

func TestSSHBlockRefusesWhatAReaderCouldMisread(t *testing.T) {
	good := sshHost{Cluster: "j-2AXXXXXXGAPLF", Login: "hadoop", Program: "/usr/bin/emr-accessd", Flags: []string{"--profile=my %n"},
		KnownHosts: "/home/a b/100%/known_hosts", System: "linux"}
	text, err := good.render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Host j-2AXXXXXXGAPLF j-2axxxxxxgaplf\n",
		"    ProxyCommand /usr/bin/emr-accessd proxy '--profile=my %%n' j-2AXXXXXXGAPLF\n",
		"    UserKnownHostsFile \"/home/a b/100%%/known_hosts\"\n",
		"    HostKeyAlias j-2axxxxxxgaplf\n", "    ProxyUseFdpass yes\n", "    StrictHostKeyChecking yes\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for name, change := range map[string]func(*sshHost){
		"id":             func(h *sshHost) { h.Cluster = "j-2AXXXXXXGAPLF;id" },
		"id with a line": func(h *sshHost) { h.Cluster = "j-2AXXXXXXGAPLF\nProxyCommand id" },
		"lower case":     func(h *sshHost) { h.Cluster = "j-2axxxxxxgaplf" },
		"user":           func(h *sshHost) { h.Login = "-oProxyCommand=id" },
		"token":          func(h *sshHost) { h.Login = "%h" },
		"star":           func(h *sshHost) { h.Cluster = "*" },
		"no id":          func(h *sshHost) { h.Cluster = "" },
		"command":        func(h *sshHost) { h.Flags = []string{"--profile=$(id)"} },
		"backquote":      func(h *sshHost) { h.Flags = []string{"--profile=`id`"} },
		"quote":          func(h *sshHost) { h.Flags = []string{"--profile=';id;'"} },
		"newline":        func(h *sshHost) { h.Flags = []string{"--profile=a\nProxyCommand id"} },
		"program":        func(h *sshHost) { h.Program = "/opt/it's/emr-accessd" },
		"environment":    func(h *sshHost) { h.KnownHosts = "/home/${USER}/known_hosts" },
		"double quote":   func(h *sshHost) { h.KnownHosts = "/home/a\"b/known_hosts" },
		"backslash":      func(h *sshHost) { h.KnownHosts = `/home/a\b` },
		"home":           func(h *sshHost) { h.Identity = []string{"~root/key"} },
		"identity":       func(h *sshHost) { h.Identity = []string{"/a\x1b[2Jb"} },
		"login":          func(h *sshHost) { h.Login = "" },
	} {
		h := good
		change(&h)
		if text, err := h.render(); err == nil {
			t.Errorf("%s was written:\n%s", name, text)
		}
	}
}

// Whatever the user's own configuration says for all hosts, ssh takes no host key but the pinned one.
func TestSSHBlockPins(t *testing.T) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		mototest.Need(t, "OpenSSH's client", err)
	}
	h := sshHost{Cluster: "j-2AXXXXXXGAPLF", Login: "hadoop", Program: "/usr/bin/emr-accessd", KnownHosts: "/state/known_hosts", System: "linux"}
	text, err := h.render()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config")
	text += "Host *\n  StrictHostKeyChecking no\n  VerifyHostKeyDNS yes\n  UserKnownHostsFile /dev/null\n  GlobalKnownHostsFile /other\n  HostKeyAlias other\n" +
		"  UpdateHostKeys yes\n  CanonicalizeHostname always\n  HostName other\n  ProxyJump other\n  NoHostAuthenticationForLocalhost yes\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"j-2AXXXXXXGAPLF", "j-2axxxxxxgaplf"} {
		out, err := exec.Command(program, "-G", "-F", file, name).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{"stricthostkeychecking (true|yes)", "verifyhostkeydns (false|no)", "userknownhostsfile /state/known_hosts", "globalknownhostsfile /state/known_hosts",
			"hostkeyalias j-2axxxxxxgaplf", "updatehostkeys (false|no)", "canonicalizehostname (false|no)", "proxycommand /usr/bin/emr-accessd proxy j-2AXXXXXXGAPLF"} {
			if !regexp.MustCompile("(?m)^" + want + "\r?$").Match(out) {
				t.Errorf("%s: not %q in\n%s", name, want, out)
			}
		}
	}
}

func TestSSHBlockOnWindows(t *testing.T) {
	h := sshHost{Cluster: "j-2AXXXXXXGAPLF", Login: "hadoop", Program: `C:\Program Files\emr-accessd.exe`, KnownHosts: `C:\Users\a b\known_hosts`, System: "windows"}
	text, err := h.render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`ProxyCommand "C:/Program Files/emr-accessd.exe" proxy j-2AXXXXXXGAPLF`, `UserKnownHostsFile "C:/Users/a b/known_hosts"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Fdpass") {
		t.Errorf("OpenSSH for Windows cannot take descriptors:\n%s", text)
	}
	h.Program = `C:\%PATH%\emr-accessd.exe`
	if _, err := h.render(); !errors.Is(err, errUnwritable) {
		t.Errorf("cmd.exe would expand it: %v", err)
	}
}

// FuzzSSHBlock asks the real shell, as ssh would, what the words of a ProxyCommand are.
func FuzzSSHBlock(f *testing.F) {
	for _, s := range []string{"work", "my work", "100%", "a=b,c", "%n", "#x", "(x)", "~", "*", "a;id", "é", "-x", "{a,b}", "<x", "&"} {
		f.Add(s)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("no sh here")
	}
	f.Fuzz(func(t *testing.T, value string) {
		h := sshHost{Cluster: "j-2AXXXXXXGAPLF", Login: "hadoop", Program: "/bin/echo", Flags: []string{"--profile=" + value}, KnownHosts: "/k", System: "linux"}
		text, err := h.render()
		if err != nil {
			return
		}
		if strings.Count(text, "\n") != 13 {
			t.Fatalf("%q made another line:\n%s", value, text)
		}
		_, command, _ := strings.Cut(text, "ProxyCommand /bin/echo")
		command, _, _ = strings.Cut(command, "\n")
		out, err := exec.Command(sh, "-c", `printf '%s\n' `+strings.ReplaceAll(command, "%%", "%")).Output()
		if want := "proxy\n--profile=" + value + "\nj-2AXXXXXXGAPLF\n"; err != nil || string(out) != want {
			t.Errorf("the shell made %q of %q (%v)", out, command, err)
		}
	})
}

func FuzzInclude(f *testing.F) {
	f.Add(formatInclude([]includeBlock{{"j-2AXXXXXXGAPLF", "Host x\n"}, {"j-3AXXXXXXGAPLF", ""}}))
	f.Add("")
	f.Add("Host *\n")
	f.Add(includeHead + "# begin j-2AXXXXXXGAPLF\n# begin j-2AXXXXXXGAPLF\n# end j-2AXXXXXXGAPLF\n")
	f.Add(includeHead + "# begin j-2AXXXXXXGAPLF\nHost x")
	f.Add(includeHead + "Host *\n    ProxyCommand id\n")
	f.Add(includeHead + "# begin j-2AXXXXXXGAPLF\r\nx\r\n# end j-2AXXXXXXGAPLF\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		blocks, err := parseInclude(text)
		if err != nil {
			return
		}
		for i, b := range blocks {
			if !clusterID.MatchString(b.cluster) || slices.ContainsFunc(blocks[:i], func(o includeBlock) bool { return o.cluster == b.cluster }) {
				t.Fatalf("%q gave %q", text, b.cluster)
			}
		}
		again, err := parseInclude(formatInclude(blocks))
		if err != nil || !slices.Equal(again, blocks) {
			t.Fatalf("%q became %q (%v)", blocks, again, err)
		}
	})
}

func TestIncludeKeepsForeignFiles(t *testing.T) {
	dir := t.TempDir()
	block := []includeBlock{{"j-2AXXXXXXGAPLF", "Host x\n"}}
	for name, text := range map[string]string{"own": "Host *\n", "added": formatInclude(block) + "Host mine\n", "half": includeHead + "# begin j-2AXXXXXXGAPLF\n"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := writeInclude(path, block, false); !errors.Is(err, errForeign) {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.ReadFile(path); string(now) != text {
			t.Errorf("%s was changed to %q", name, now)
		}
	}
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if _, err := writeInclude(link, block, false); err == nil {
		t.Error("a link was written through or replaced")
	}
}

// Of several that write at once, none loses what another one has written.
func TestIncludeWrittenAtOnce(t *testing.T) {
	t.Setenv(config.EnvState, t.TempDir())
	file := filepath.Join(t.TempDir(), "hosts")
	var writers sync.WaitGroup
	for i := range 10 {
		writers.Go(func() {
			block := includeBlock{fmt.Sprintf("j-%08d", i), "Host x\n"}
			err := new(app).oneWriter(t.Context(), func() error {
				_, err := writeInclude(file, []includeBlock{block}, true)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	text, _, err := readInclude(file)
	if err != nil {
		t.Fatal(err)
	}
	if blocks, err := parseInclude(text); err != nil || len(blocks) != 10 {
		t.Errorf("%d of 10 blocks, %v:\n%s", len(blocks), err, text)
	}
}

// What the command line said is said to proxy again, word by word.
func TestFlagsArePassedOn(t *testing.T) {
	t.Setenv("EMR_ACCESSD_CONFIG", "")
	a := &app{}
	root := newRoot(a)
	if err := root.PersistentFlags().Parse([]string{"--profile=my work", "--json", "-v", "--port=2222", "--trusted=10.0.0.0/28,10.1.0.0/28", "--stun=",
		"--source-ca=ca.pem", "--rule-tag=b=2", "--rule-tag=a=1", "--egress-check=false"}); err != nil {
		t.Fatal(err)
	}
	got, err := a.proxyFlags()
	abs, _ := filepath.Abs("ca.pem")
	want := []string{"--egress-check=false", "--port=2222", "--profile=my work", "--rule-tag=a=1", "--rule-tag=b=2", "--source-ca=" + abs,
		"--stun=", "--trusted=10.0.0.0/28", "--trusted=10.1.0.0/28"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, error %v, want %q", got, err, want)
	}
	again := &app{}
	if err := newRoot(again).PersistentFlags().Parse(got); err != nil || again.flags.port != 2222 || len(again.flags.trusted) != 2 || len(again.flags.tags) != 2 {
		t.Errorf("%+v, error %v", again.flags, err)
	}
	target := keeper.Target{Profile: "other", Region: "eu-west-1", Account: "123456789012", Port: 22, Local: true, Group: "additional"}
	if got, want := withTarget([]string{"--profile=my work"}, target), []string{"--profile=my work", "--region=eu-west-1", "--account=123456789012",
		"--address=local", "--group=additional"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestIncludes(t *testing.T) {
	file := "/home/a/.ssh/" + includeName
	for config, want := range map[string]bool{
		"Include emr-accessd.config\n":                    true,
		"  include other \"~/.ssh/emr-accessd.config\"\n": true,
		"\n\tInclude /home/a/.ssh/emr-accessd.config":     true,
		"Host *\nInclude emr-accessd.config\n":            false,
		"match all\nInclude emr-accessd.config\n":         false,
		"# Include emr-accessd.config\n":                  false,
		"Include other\n":                                 false,
		"":                                                false,
	} {
		if got := includes(config, file); got != want {
			t.Errorf("%q includes it: %v", config, got)
		}
	}
}
