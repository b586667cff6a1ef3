package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/rogpeppe/go-internal/testscript"
)

// public N: the group has so many rules that open exactly port 22 to everybody.
func cmdPublic(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	for _, r := range worldOf(ts).sim.Rules(worldOf(ts).master) {
		if r.CIDR == "0.0.0.0/0" && r.FromPort == 22 && r.ToPort == 22 {
			n++
		}
	}
	if want, err := strconv.Atoi(args[0]); err != nil || n != want {
		ts.Fatalf("%d public rules, want %s\n%s", n, args[0], worldOf(ts).listing())
	}
}

// closedid VAR [CIDR]: the id of the one rule, or the one with this source, that has a record on disk, which nobody else may read.
func cmdClosedID(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.Getenv("EMR_ACCESSD_STATE"), "closed-*.json"))
	ts.Check(err)
	if len(args) > 1 {
		files = slices.DeleteFunc(files, func(name string) bool {
			data, err := os.ReadFile(name)
			ts.Check(err)
			return !strings.Contains(string(data), strconv.Quote(args[1]))
		})
	}
	if len(files) != 1 {
		ts.Fatalf("records: %v", files)
	}
	info, err := os.Stat(files[0])
	ts.Check(err)
	if info.Mode().Perm() != 0o600 {
		ts.Fatalf("%s has mode %v", files[0], info.Mode())
	}
	ts.Setenv(args[0], strings.TrimSuffix(strings.TrimPrefix(filepath.Base(files[0]), "closed-"), ".json"))
}

// addrule KIND: somebody else adds a rule to the group.
func cmdAddRule(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	r := awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "198.51.100.7/32"}
	switch args[0] {
	case "stranger": // my very address, by a rule that has no tags
		r.Description = "console"
	case "shared": // my very address, held by a colleague
		r.Tags = map[string]string{sgsync.OwnerTag: "AIDABOB000000001", sgsync.LeasePrefix + "AIDABOB000000001-b1": sgsync.FormatLease(time.Now().Add(time.Hour), time.Now(), "bob@laptop")}
	case "list": // my address is in a prefix list
		r.CIDR, r.PrefixList = "", w.sim.AddPrefixList(awssim.PrefixListSpec{Name: "office", MaxEntries: 5, Entries: map[string]string{"198.51.100.0/24": "hq"}})
	case "all":
		r = awssim.RuleSpec{Protocol: "-1", CIDR: "0.0.0.0/0"}
	case "tagged": // public, and somebody has put tags on it
		r.CIDR, r.Tags = "0.0.0.0/1", map[string]string{"team": "data"}
	case "range":
		r = awssim.RuleSpec{FromPort: 0, ToPort: 65535, CIDR: "0.0.0.0/0"}
	default:
		ts.Fatalf("no such kind of rule: %s", args[0])
	}
	w.sim.AddRule(w.master, r)
}

// hangUp listens on loopback and ends every connection at once, as a firewall between would. The group has a
// public rule for its port.
func hangUp(w *simWorld) (port string, end func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	n := l.Addr().(*net.TCPAddr).Port
	w.sim.AddRule(w.master, awssim.RuleSpec{FromPort: n, ToPort: n, CIDR: "0.0.0.0/0", Description: "legacy"})
	return strconv.Itoa(n), func() { _ = l.Close() }, nil
}

// hangup VAR: a server that hangs up; its port goes to the variable.
func cmdHangUp(ts *testscript.TestScript, _ bool, args []string) {
	port, end, err := hangUp(worldOf(ts))
	ts.Check(err)
	ts.Defer(end)
	ts.Setenv(args[0], port)
}

// On a terminal: "no" changes nothing; and when the port is lost, opening it again is asked for and done.
func TestClosePublicAsks(t *testing.T) {
	t.Parallel()
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	port, end, err := hangUp(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	config := w.write(t)
	before := w.listing()
	var flags []string
	session := func(answers ...string) (string, int) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, programPath(t), slices.Concat([]string{"close-public", "--port", port, w.cluster}, flags)...)
		cmd.Env = append(w.env(), "HOME="+w.dir, "PATH="+os.Getenv("PATH"), "TERM=xterm", "EMR_ACCESSD_CONFIG="+config, "EMR_ACCESSD_STATE="+filepath.Join(w.dir, "state"))
		f, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var out strings.Builder
		asked := 0
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			out.Write(buf[:n])
			if now := strings.Count(out.String(), "[y/N]"); now > asked && len(answers) > 0 {
				asked = now
				_, _ = io.WriteString(f, answers[0])
				answers = answers[1:]
			}
			if err != nil {
				break
			}
		}
		_ = cmd.Wait()
		return out.String(), cmd.ProcessState.ExitCode()
	}
	if out, code := session("n\n"); code != exitFindings || !strings.Contains(out, "nothing was changed") || w.listing() != before {
		t.Errorf("exit %d:\n%s", code, out)
	}
	flags = []string{"--json"}
	if out, code := session("n\n"); code != exitFindings || !strings.Contains(out, `"applied": false`) || !strings.Contains(out, `"state": "planned"`) || w.listing() != before {
		t.Errorf("exit %d:\n%s", code, out)
	}
	flags = nil
	// Ctrl-C. The terminal may throw away what is printed right then, so what is said is not looked at.
	if out, code := session("\x03"); code != exitFailed || strings.Contains(out, "removed") || w.listing() != before {
		t.Errorf("exit %d:\n%s", code, out)
	}
	out, code := session("y\n", "yes\n")
	if code != exitFailed || !strings.Contains(out, "does not answer any more") || !strings.Contains(out, "authorize-security-group-ingress") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	open := 0
	for _, r := range w.sim.Rules(w.master) {
		if strconv.Itoa(r.FromPort) == port && r.CIDR == "0.0.0.0/0" && r.Description == "legacy" {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d public rules after putting it back\n%s\n%s", open, w.listing(), out)
	}
}

// What is pasted into a shell says exactly the rule, whatever its description and tags hold.
func TestAWSRestoreIsOneCommand(t *testing.T) {
	c := keeper.Closed{ID: "sgr-0123456789abcdef0", Group: "sg-0123456789abcdef0", Port: 22, CIDR: pfxOf("0.0.0.0/0"), Description: hostile + "'; touch owned; '$(touch owned)`touch owned`",
		Tags: map[string]string{"a'b": "\u202e\x1b\n", "aws:x": "y"}, Region: "eu-west-1", Profile: "it's"}
	text := awsRestore(c)
	if printable(text) != text || strings.Contains(text, "\n") {
		t.Errorf("a terminal would show another command: %q", text)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	dir := t.TempDir()
	cmd := exec.Command(sh, "-c", `aws() { for a; do printf '%s\0' "$a"; done; }; `+text)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(words) != 12 || words[3] != "it's" || words[5] != "eu-west-1" {
		t.Fatalf("%q", words)
	}
	var perms []struct {
		IPRanges []struct{ CidrIP, Description string }
	}
	var specs []struct{ Tags []struct{ Key, Value string } }
	if err := errors.Join(json.Unmarshal([]byte(words[9]), &perms), json.Unmarshal([]byte(words[11]), &specs)); err != nil {
		t.Fatal(err)
	}
	if r := perms[0].IPRanges[0]; r.CidrIP != "0.0.0.0/0" || r.Description != c.Description || len(specs[0].Tags) != 1 || specs[0].Tags[0].Value != "\u202e\x1b\n" {
		t.Errorf("%+v %+v", perms, specs)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("the description was run: %v", left)
	}
}

func pfxOf(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// A public rule may open nodes that share no other group: each needs an own rule, and each of these is looked at.
func TestFootingOfEveryNode(t *testing.T) {
	node := func(groups ...string) sgsync.AuditNode { return sgsync.AuditNode{Groups: groups} }
	own := func(groups ...string) map[string][]sgsync.Footing {
		m := map[string][]sgsync.Footing{}
		for _, g := range groups {
			m[g] = []sgsync.Footing{{Group: g, Rule: "sgr-" + g}}
		}
		return m
	}
	for name, tt := range map[string]struct {
		nodes []sgsync.AuditNode
		own   map[string][]sgsync.Footing
		want  string
	}{
		"in the same group":              {[]sgsync.AuditNode{node("pub", "a"), node("pub", "b")}, own("pub", "a"), "pub"},
		"one for each node":              {[]sgsync.AuditNode{node("pub", "a"), node("pub", "b"), node("b", "pub")}, own("a", "b"), "a b"},
		"one node has none":              {[]sgsync.AuditNode{node("pub", "a"), node("pub", "b")}, own("a"), ""},
		"a node that it does not open":   {[]sgsync.AuditNode{node("pub", "a"), node("b")}, own("a"), "a"},
		"on no node, and none there":     {[]sgsync.AuditNode{node("a")}, own("a"), ""},
		"on no node, and one beside it":  {[]sgsync.AuditNode{node("a")}, own("pub"), "pub"},
		"one group of a node has it too": {[]sgsync.AuditNode{node("pub", "x", "b"), node("pub", "b")}, own("b"), "b"},
	} {
		c := closing{footings: tt.own}
		c.found.Nodes = tt.nodes
		var got []string
		for _, f := range c.footing(sgsync.Rule{Group: "pub"}) {
			got = append(got, f.Group)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A group may hold own rules for several ports, as of two targets: only that of the port that is closed is a footing.
func TestFootingsAreOfThePort(t *testing.T) {
	change := func(rule string, port int, firm bool) keeper.ChangeReport {
		return keeper.ChangeReport{Do: "keep", Rule: rule, Port: port, CIDR: "198.51.100.7/32", Role: string(sgsync.Self), Firm: firm}
	}
	rep := keeper.Report{Targets: []keeper.TargetReport{{Identity: &keeper.Identity{UserID: "AIDAALICE"},
		Verdicts: map[string]keeper.Verdict{"ipv4": {State: "confirmed", Address: "198.51.100.7"}},
		Groups:   []keeper.GroupReport{{ID: "sg-1", Changes: []keeper.ChangeReport{change("sgr-8443", 8443, true), change("sgr-22", 22, false)}}}}}}
	if got := footings(rep, "a1", 22); len(got) != 0 {
		t.Errorf("footings for port 22: %v", got)
	}
	if got := footings(rep, "a1", 8443); len(got["sg-1"]) != 1 || got["sg-1"][0].Rule != "sgr-8443" {
		t.Errorf("footings for port 8443: %v", got)
	}
}
