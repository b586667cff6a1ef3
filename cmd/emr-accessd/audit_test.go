package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// hostile is what somebody may write into a tag, a name or a description to reach the reader of a report.
const hostile = "<script>alert(1)</script>\" onload=\"x' ]]> \u202egnp.exe\u202c \x1b[31m{{.}} javascript:x"

// auditWorld is a cluster that has everything that an audit knows.
func auditWorld(t *testing.T) *simWorld {
	t.Helper()
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	now := time.Now()
	lease := func(end time.Duration, who string) string { return sgsync.FormatLease(now.Add(end), now, who) }
	office := w.sim.AddPrefixList(awssim.PrefixListSpec{Name: "office " + hostile, MaxEntries: 30, Entries: map[string]string{"192.0.2.0/24": "hq", "198.51.100.128/25": hostile}})
	add := func(r awssim.RuleSpec) { w.sim.AddRule(w.master, r) }
	add(awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "::/0"})
	add(awssim.RuleSpec{FromPort: 20, ToPort: 25, CIDR: "203.0.0.0/8", Description: hostile})
	add(awssim.RuleSpec{Protocol: "-1", CIDR: "10.0.0.0/8"})
	add(awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.77/32", Description: "\u202e" + hostile})
	add(awssim.RuleSpec{FromPort: 22, ToPort: 22, PrefixList: office})
	add(awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "198.51.100.7/32", Tags: map[string]string{sgsync.OwnerTag: "AIDAALICE00000001",
		sgsync.LeasePrefix + "AIDAALICE00000001-a1": lease(time.Hour, "alice@laptop"), sgsync.LeasePrefix + "AIDABOB0000000001-b1": lease(-time.Hour, "bob@old")}})
	add(awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "198.51.100.8/32", Tags: map[string]string{sgsync.OwnerTag: hostile, sgsync.LeasePrefix + "AIDABOB0000000001-b1": lease(-time.Hour, "bob@old")}})
	add(awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "198.51.100.9/32", Tags: map[string]string{sgsync.OwnerTag: "AIDAALICE00000001", sgsync.LeasePrefix + hostile + "-x": hostile}})
	return w
}

// program runs the built program in this world.
func (w *simWorld) program(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programPath(t), args...)
	cmd.Env = append(w.env(), "HOME="+w.dir, "PATH="+os.Getenv("PATH"), "EMR_ACCESSD_CONFIG="+w.write(t), "EMR_ACCESSD_STATE="+filepath.Join(w.dir, "state"),
		"AWS_CONFIG_FILE="+filepath.Join(w.dir, "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(w.dir, "none"))
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// What foreign texts hold reaches neither a terminal nor a browser as anything but text.
func TestAuditEscapes(t *testing.T) {
	w := auditWorld(t)
	file := filepath.Join(w.dir, "report.html")
	out, errs, code := w.program(t, "", "audit", w.cluster, "--html", file, "--from", "203.0.113.200")
	if code != exitFindings {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if keep := os.Getenv("AUDIT_PAGE"); keep != "" { // to look at it in a browser
		_ = os.WriteFile(keep, page, 0o600)
	}
	for what, text := range map[string]string{"text": out + errs, "page": string(page)} {
		if strings.ContainsAny(text, "\x1b\u202e\u202c") {
			t.Errorf("the %s holds control or bidirectional characters", what)
		}
		if !strings.Contains(text, "alert(1)") {
			t.Errorf("the %s does not show the description at all", what)
		}
	}
	if regexp.MustCompile(`(?i)<script|onload="|="javascript|<[a-z]+[^>]*\son`).Match(page) {
		t.Error("the page holds markup of a rule's description")
	}
	if regexp.MustCompile(`(?i)(src|href)\s*=|@import|url\(`).Match(page) {
		t.Error("the page refers to something outside")
	}
	if info, _ := os.Stat(file); info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the report can be read by others: %v", info.Mode())
	}
	out, _, _ = w.program(t, "", "audit", w.cluster, "--json")
	var answer auditAnswer
	if err := json.Unmarshal([]byte(out), &answer); err != nil || strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("%v in\n%s", err, out)
	}
	ids := map[string]bool{}
	for _, f := range answer.Targets[0].Findings {
		ids[f.ID] = true
	}
	for _, id := range []string{"public-port", "wide-source", "lease-ended", "rule-abandoned", "lease-unreadable", "owner-strange", "block-public-access-excepts-port"} {
		if !ids[id] {
			t.Errorf("no finding %s in %v", id, ids)
		}
	}
}

// The first sentence of the page says that a port is shut only when all is known.
func TestAuditHeadline(t *testing.T) {
	reach := func(kind string, effective, exposed bool) []sgsync.Reach {
		return []sgsync.Reach{{Kind: kind, Who: "everybody", Effective: effective, Exposed: exposed}}
	}
	for _, tt := range []struct {
		reach    []sgsync.Reach
		complete bool
		class    string
		text     string
	}{
		{reach(sgsync.ReachPublic, true, true), true, "open", "Port 22 is open to everybody."},
		{reach(sgsync.ReachPublic, true, true), false, "open", "Port 22 is open to everybody."},
		{reach(sgsync.ReachPublic, true, false), true, "open", "Port 22 is open to whoever reaches a private address of the nodes: from the VPC, a VPN, a peering or by a load balancer."},
		{reach(sgsync.ReachPublic, false, false), true, "shut", "Port 22 is open to the networks and groups below, and to nobody else."},
		{reach(sgsync.ReachHost, true, true), true, "shut", "Port 22 is open to the networks and groups below, and to nobody else."},
		{reach(sgsync.ReachHost, true, true), false, "part", "No rule that could be read opens port 22 to everybody, but not everything could be read."},
		{nil, true, "shut", "No rule admits anybody to port 22."},
		{nil, false, "part", "No rule that could be read opens port 22 to everybody, but not everything could be read."},
	} {
		text, class := headline(auditTarget{AuditResult: sgsync.AuditResult{Port: 22, Reach: tt.reach, Complete: tt.complete}})
		if text != tt.text || class != tt.class {
			t.Errorf("%+v: %s: %s", tt, class, text)
		}
	}
}

// The picture tells of public addresses where any node of a role has one.
func TestAuditRoleAddresses(t *testing.T) {
	node := func(role, public string) sgsync.AuditNode {
		n := sgsync.AuditNode{Role: role}
		if public != "" {
			n.Public4 = netip.MustParseAddr(public)
		}
		return n
	}
	at := auditTarget{AuditResult: sgsync.AuditResult{Nodes: []sgsync.AuditNode{node("primary", ""), node("core", ""), node("core", "192.0.2.7"), node("core", "192.0.2.8")}}}
	for role, want := range map[string]string{"primary": "no public address", "core": "192.0.2.7", "task": ""} {
		if got := roleSub(at, role); got != want {
			t.Errorf("%s: %q, want %q", role, got, want)
		}
	}
}
