package main

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// expect fails unless a finding has the state and its texts hold the words.
func (f finding) expect(t *testing.T, name, state string, words ...string) {
	t.Helper()
	all := f.seen + "\n" + f.remedy + "\n" + strings.Join(f.notes, "\n")
	if f.state != state {
		t.Errorf("%s: %s, want %s: %s", name, f.state, state, all)
	}
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("%s: %q is missing in %s", name, w, all)
		}
	}
}

func TestJudgeRule(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	me := sgsync.Holder{UserID: "AIDAALICE", Installation: "0123456789abcdef"}
	other := sgsync.Holder{UserID: "AIDAALICE", Installation: "fedcba9876543210"}
	bob := sgsync.Holder{UserID: "AIDABOB", Installation: "0123456789abcdef"}
	live, ended := sgsync.FormatLease(now.Add(time.Hour), now.Add(-time.Hour), "x"), sgsync.FormatLease(now.Add(-time.Hour), now.Add(-2*time.Hour), "x")
	want := pfxOf("198.51.100.7/32")
	rule := func(cidr string, tags ...string) sgsync.Rule {
		r := sgsync.Rule{ID: "sgr-1", Protocol: "tcp", FromPort: 22, ToPort: 22, CIDR: pfxOf(cidr), Tags: map[string]string{}}
		for i := 0; i < len(tags); i += 2 {
			r.Tags[sgsync.OwnerTag], r.Tags[tags[i]] = "AIDAALICE", tags[i+1]
		}
		return r
	}
	wide := rule("198.51.100.7/32")
	wide.FromPort = 0
	for _, tt := range []struct {
		name  string
		rules []sgsync.Rule
		state string
		say   []string
	}{
		{"mine", []sgsync.Rule{rule("198.51.100.7/32", me.Key(), live)}, stateOK, []string{"admits 198.51.100.7/32 until"}},
		{"shared", []sgsync.Rule{rule("198.51.100.7/32", me.Key(), live, bob.Key(), live)}, stateOK, []string{"one other leases it with you"}},
		{"none", nil, stateBad, []string{"there is no rule for your address", "emr-accessd sync j-1"}},
		{"the old address", []sgsync.Rule{rule("203.0.113.9/32", me.Key(), live)}, stateBad, []string{"yours: sgr-1 is for 203.0.113.9/32"}},
		{"an ended lease", []sgsync.Rule{rule("203.0.113.9/32", me.Key(), ended)}, stateBad, []string{"there is no rule for your address 198.51.100.7/32 in sg-1"}},
		{"a colleague's", []sgsync.Rule{rule("198.51.100.7/32", bob.Key(), live)}, stateOK, []string{"goes with those of others: emr-accessd sync j-1"}},
		{"of my other computer", []sgsync.Rule{rule("198.51.100.7/32", other.Key(), live)}, stateOK, []string{"a lease of yours from another computer"}},
		{"an administrator's", []sgsync.Rule{rule("198.51.100.7/32")}, stateOK, []string{"is not yours to lease"}},
		{"a wider one is no rule of mine", []sgsync.Rule{wide, rule("198.51.100.0/24")}, stateBad, []string{"there is no rule"}},
	} {
		s := sgsync.Survey{Port: 22, Now: now, Groups: []sgsync.AuditGroup{{ID: "sg-1", Rules: tt.rules}, {ID: "sg-2", Rules: []sgsync.Rule{rule("198.51.100.7/32", me.Key(), live)}}}}
		judgeRule(s, []string{"sg-1"}, want, me, "emr-accessd sync j-1").expect(t, tt.name, tt.state, tt.say...)
	}
	unread := sgsync.Survey{Port: 22, Now: now, Groups: []sgsync.AuditGroup{{ID: "sg-1", Unread: true}}}
	judgeRule(unread, []string{"sg-1"}, want, me, "emr-accessd sync j-1").expect(t, "unread", stateUnknown, "could not be read")
}

func TestRuleRemedy(t *testing.T) {
	core := nodeChoice{role: "core", numbered: true}
	for _, tt := range []struct{ have, want string }{
		{ruleRemedy("j-1", nodeChoice{}, true, false), "emr-accessd sync j-1"},
		{ruleRemedy("j-1", nodeChoice{}, true, true), "emr-accessd sync j-1; the daemon runs and should have done so: `emr-accessd status` says what stops it"},
		{ruleRemedy("j-1", core, false, true), "emr-accessd connect --node core:0 j-1 puts it in place for the session; `nodes` of the target keeps one"},
	} {
		if tt.have != tt.want {
			t.Errorf("%q, want %q", tt.have, tt.want)
		}
	}
}

func TestJudgeGroups(t *testing.T) {
	s := surveyed{Survey: sgsync.Survey{Nodes: []sgsync.AuditNode{{Instance: "i-1", Groups: []string{"sg-2", "sg-1"}}, {Instance: "i-2", Groups: []string{"sg-3"}}},
		Groups: []sgsync.AuditGroup{{ID: "sg-1", Name: "one"}, {ID: "sg-2"}, {ID: "sg-3"}}}}
	judgeGroups(s, "i-1", []string{"sg-1"}).expect(t, "there", stateOK, "sg-1 one, sg-2")
	f := judgeGroups(s, "i-1", []string{"sg-3"})
	f.expect(t, "taken off", stateBad, "a rule in it does not help")
	if !f.goOn {
		t.Error("nothing is looked at after that")
	}
	judgeGroups(s, "i-1", nil).expect(t, "no additional group", stateBad)
	s.Unseen = []sgsync.Unseen{{What: "x", Needs: "ec2:DescribeInstances"}}
	judgeGroups(s, "i-1", []string{"sg-1"}).expect(t, "not seen", stateUnknown, "policy --with doctor")
}

func TestJudgeDial(t *testing.T) {
	for _, tt := range []struct {
		problem sshsession.DialProblem
		shut    bool
		say     string
	}{
		{sshsession.DialTimeout, true, "as is to be expected"}, {sshsession.DialTimeout, false, "blocks SSH outwards"}, {sshsession.DialRefused, false, "nothing listens"},
		{sshsession.DialReset, false, "cuts connections"}, {sshsession.DialUnreachable, false, "no way there"}, {sshsession.DialOther, false, "--host"},
	} {
		judgeDial(tt.problem, "x", tt.shut).expect(t, string(tt.problem), stateBad, tt.say)
	}
}

func TestJudgeKeys(t *testing.T) {
	key := func(source string) sshsession.FoundKey {
		return sshsession.FoundKey{OfferedKey: sshsession.OfferedKey{Source: source}}
	}
	wanted, encrypted := key("team.pem"), key("id_rsa")
	wanted.Wanted, encrypted.Encrypted = true, true
	both := wanted
	both.Encrypted = true
	skipped := []sshsession.OfferedKey{{Source: "x.pem", Reason: "others may read it"}}
	for _, tt := range []struct {
		name   string
		found  sshsession.FoundKeys
		note   string
		state  string
		locked bool
		say    string
	}{
		{"fits", sshsession.FoundKeys{Keys: []sshsession.FoundKey{key("agent"), wanted}}, "", stateOK, false, "team.pem fits"},
		{"fits, encrypted", sshsession.FoundKeys{Keys: []sshsession.FoundKey{both, key("agent")}}, "", stateOK, true, "asks for its passphrase"},
		{"none", sshsession.FoundKeys{}, "", stateBad, false, "there is none"},
		{"none that can be used", sshsession.FoundKeys{Skipped: skipped}, "", stateBad, false, "x.pem: others may read it"},
		{"another", sshsession.FoundKeys{Keys: []sshsession.FoundKey{key("agent"), encrypted}, Skipped: skipped}, "", stateUnknown, false, "2 keys would be offered"},
		{"all encrypted", sshsession.FoundKeys{Keys: []sshsession.FoundKey{encrypted}}, "", stateUnknown, true, "none is the cluster's key pair"},
		{"not known", sshsession.FoundKeys{Keys: []sshsession.FoundKey{key("agent")}}, "EC2 is silent", stateUnknown, false, "EC2 is silent. 1 key would be offered"},
	} {
		f, locked := judgeKeys(tt.found, "team", tt.note)
		if f.expect(t, tt.name, tt.state, tt.say); locked != tt.locked {
			t.Errorf("%s: locked %v", tt.name, locked)
		}
	}
}

func TestJudgeTheRest(t *testing.T) {
	lookAtClock(0, false).expect(t, "no date", stateSkipped)
	lookAtClock(-3*time.Second, true).expect(t, "fine", stateOK, "as AWS's")
	lookAtClock(-2*time.Minute, true).expect(t, "behind", stateOK, "behind")
	lookAtClock(20*time.Minute, true).expect(t, "ahead", stateBad, "20 min ahead of", "set the clock")
	lookAtIdentity(awsclient.Identity{Account: "1", ARN: "arn:x", Endpoint: "http://x"}, "").expect(t, "endpoint", stateOK, "not AWS's own endpoint")
	lookAtIdentity(awsclient.Identity{Account: "1"}, "2").expect(t, "account", stateBad, "account 2")
	lookAtCredentials(awsclient.SignIn{From: "x", Expires: time.Now().Add(time.Hour)}, time.Now()).expect(t, "expiry", stateOK, "end in")
	lookAtPermissions(nil, errors.New("x"), keeper.Target{}).expect(t, "failed", stateUnknown)
	me, other := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.9")
	judgeView(ok("logged in"), me, me, "j-1").expect(t, "same", stateOK, "sees you as 198.51.100.7")
	judgeView(ok("logged in"), other, me, "j-1").expect(t, "another", stateBad, "audit j-1 --from 203.0.113.9")
	judgeView(ok("logged in"), other, netip.Addr{}, "j-1").expect(t, "not known", stateOK)
	for state, err := range map[string]error{stateBad: &awsclient.Error{Kind: awsclient.Denied, Err: errors.New("x")}, stateUnknown: &awsclient.Error{Kind: awsclient.Server, Err: errors.New("x")}} {
		failure(err).expect(t, "failure", state)
	}
}

// Colours are for terminals, NO_COLOR turns them off, and what others wrote commands no terminal.
func TestDoctorPage(t *testing.T) {
	hostile := doctorCheck{Subject: "j-1\x1b[2J", Check: "cluster", State: stateBad, Seen: "name\x1b]0;x\x07", Remedy: "r\u202e", Notes: []string{"n\u009b"}}
	skip := doctorCheck{Subject: hostile.Subject, Check: "host-key", State: stateSkipped, Seen: "needs cluster"}
	var out bytes.Buffer
	p := newDoctorPage(&out)
	for _, c := range []doctorCheck{hostile, skip, skip} {
		p.check(c)
	}
	if err := p.end(doctorAnswer{Bad: 1, WhatToDo: "x\x1b"}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\u009b\u202e") || !strings.Contains(out.String(), "2 checks       host key, host key: needs cluster") {
		t.Errorf("%q", out.String())
	}
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip("no terminal here: ", err)
	}
	defer master.Close()
	defer tty.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !newDoctorPage(tty).colour {
		t.Error("no colour on a terminal")
	}
	t.Setenv("NO_COLOR", "1")
	if newDoctorPage(tty).colour {
		t.Error("colour against NO_COLOR")
	}
	if f, err := os.Open(os.DevNull); err == nil && newDoctorPage(f).colour {
		t.Error("colour in a file")
	}
}
