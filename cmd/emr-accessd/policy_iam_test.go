package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/iampolicy"
)

// iamTeam is two users of one cluster, behind a recorder of what IAM is asked.
type iamTeam struct {
	*testing.T
	*simWorld
	iam *iamRecorder
}

const alice, bob = "AIDASIMULATEDUSER0001", "AROASIMULATED:bob@example.com"

func newIAMTeam(t *testing.T) *iamTeam {
	t.Helper()
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.server.Close()
	iam := &iamRecorder{w: w, users: map[string]string{"AKIATEST": alice, "AKIABOB": bob}}
	w.server = httptest.NewServer(iam)
	w.sim.AddPrincipal("AKIABOB", awssim.Principal{UserID: bob, ARN: "arn:aws:sts::" + simAccount + ":assumed-role/data/bob@example.com"})
	text := w.config(w.dir, fmt.Sprintf("[[target]]\ncluster = %q\n[[target]]\nsecurity-group = %q\nport = 8443\n", w.cluster, w.master))
	text += "tags = { CostCenter = \"42\" }\n" // [rules] is the last table
	if err := os.WriteFile(filepath.Join(w.dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &iamTeam{T: t, simWorld: w, iam: iam}
}

// as runs the program as a user, and returns its answer.
func (m *iamTeam) as(user string, args ...string) string {
	m.Helper()
	cmd := exec.CommandContext(m.Context(), programPath(m.T), args...)
	cmd.Env = append(m.env(), "HOME="+m.dir, "PATH="+os.Getenv("PATH"), "EMR_ACCESSD_CONFIG="+filepath.Join(m.dir, "config.toml"),
		"EMR_ACCESSD_STATE="+filepath.Join(m.dir, "state-"+strings.ReplaceAll(user, ":", "-")), "AWS_CONFIG_FILE="+filepath.Join(m.dir, "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(m.dir, "none"))
	if user == bob {
		cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=AKIABOB")
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	finds := slices.Contains([]string{"audit", "close-public", "doctor"}, args[0]) && cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitFindings
	if err != nil && !finds {
		m.Fatalf("%v: %v\n%s%s", args, err, out, errs.String())
	}
	return string(out)
}

// TestPolicyAllowsWhatIsCalled makes the program do all that it does, and asks an IAM simulator about each of its
// calls: all are allowed by the printed policy; and each statement of it is needed by one of them.
func TestPolicyAllowsWhatIsCalled(t *testing.T) {
	m := newIAMTeam(t)
	m.as(alice, "sync")          // add
	m.as(bob, "sync", m.cluster) // join
	m.set("all", "203.0.113.9")  //
	m.as(alice, "sync")          // add, leave
	m.set("all", "203.0.113.10") //
	m.as(alice, "sync")          // move
	m.sim.AddRule(m.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.77/32", Tags: map[string]string{"emr-accessd-owner": "AIDAGONE",
		"emr-accessd-lease-AIDAGONE-0123456789abcdef": "2020-01-01T00:00:00Z 2020-01-01T00:00:00Z gone@laptop"}}) // left behind
	list := m.sim.AddPrefixList(awssim.PrefixListSpec{Name: "offices", Entries: map[string]string{"198.51.100.0/28": "office"}})
	m.as(alice, "policy", "--check", "--with", "all")
	m.sim.AddRule(m.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.78/32", Tags: map[string]string{"emr-accessd-owner": "AIDAGONE",
		"emr-accessd-lease-AIDAGONE-0123456789abcdef": "2020-01-01T00:00:00Z 2020-01-01T00:00:00Z gone@laptop",
		"emr-accessd-lease-AIDAHERE-0123456789abcdef": time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + " 2020-01-01T00:00:00Z here@desk"}})
	before := len(m.iam.requests())
	m.as(alice, "sweep", "--all")
	swept := m.iam.requests()[before:]
	for i, got := range simulateIAM(t, json.RawMessage(m.as(alice, "policy", "--only", "sweep", "--all")), swept) {
		if got.Result != "Allowed" {
			t.Errorf("a job that only sweeps everything: %s on %s: %s %s", swept[i].Action, swept[i].Resource, got.Result, got.Detail)
		}
	}
	m.as(alice, "clusters")
	m.as(alice, "sync", "nightly-etl") // a cluster by name
	m.as(alice, "revoke")
	m.as(bob, "revoke")
	m.sim.AddRule(m.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, PrefixList: list})
	m.as(alice, "audit")
	m.as(alice, "doctor", "--host", "127.0.0.1:1", m.cluster)
	m.as(alice, "close-public", m.cluster, "--dry-run")

	text := json.RawMessage(m.as(alice, "policy", "--with", "all"))
	requests := m.iam.requests()
	for i, got := range simulateIAM(t, text, requests) {
		if r := requests[i]; got.Result != "Allowed" || len(got.Ignored) > 0 {
			t.Errorf("%s on %s with %v: %s, ignored %v %s", r.Action, r.Resource, r.Context, got.Result, got.Ignored, got.Detail)
		}
	}

	var doc iampolicy.Document
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	requests = append(requests, ask(alice, "ec2:GetManagedPrefixListEntries", "arn:aws:ec2:eu-west-1:aws:prefix-list/pl-0123456789abcdef0", nil)) // AWS's own
	for _, s := range doc.Statement {
		less := doc
		less.Statement = slices.DeleteFunc(slices.Clone(doc.Statement), func(o iampolicy.Statement) bool { return o.Sid == s.Sid })
		text, err := json.Marshal(less)
		if err != nil {
			t.Fatal(err)
		}
		results := simulateIAM(t, text, requests)
		if !slices.ContainsFunc(results, func(r iamResult) bool { return r.Result == "ImplicitlyDenied" }) {
			t.Errorf("without %s everything is allowed all the same", s.Sid)
		}
	}
	called := map[string]bool{}
	for _, r := range requests {
		called[r.Action] = true
	}
	for _, action := range doc.Actions() {
		if !called[action] {
			t.Errorf("%s is allowed and was not called", action)
		}
	}
}

// TestPolicyDenies has what the printed policy must not allow, with everything in it.
func TestPolicyDenies(t *testing.T) {
	m := newIAMTeam(t)
	group, rule := arnOf("ec2", "security-group/"+m.master), arnOf("ec2", "security-group-rule/sgr-0123456789abcdef0")
	anyRule := arnOf("ec2", "security-group-rule/*")
	mine := "emr-accessd-lease-" + alice + "-0123456789abcdef"
	lease := func(key string, more map[string]any) map[string]any {
		return requestTags(map[string]string{key: "2030-01-01T00:00:00Z 2020-01-01T00:00:00Z x@y"}, more)
	}
	ours := map[string]any{"aws:ResourceTag/emr-accessd-owner": bob}
	created := map[string]any{"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}
	owned := func(owner string, more ...string) map[string]string {
		tags := map[string]string{"emr-accessd-owner": owner, mine: "x"}
		for _, k := range more {
			tags[k] = "x"
		}
		return tags
	}
	const (
		authorize = "ec2:AuthorizeSecurityGroupIngress"
		modify    = "ec2:ModifySecurityGroupRules"
		revoke    = "ec2:RevokeSecurityGroupIngress"
		tag       = "ec2:CreateTags"
		untag     = "ec2:DeleteTags"
	)
	elsewhere := strings.Replace(group, "eu-west-1", "us-east-1", 1)
	for _, policy := range [][]string{{"policy"}, {"policy", "--with", "all"}} {
		text := json.RawMessage(m.as(alice, policy...))
		sweeps := len(policy) > 1
		cases := []struct {
			name    string
			request iamRequest
			allowed bool // the control: it differs from the case before it in one thing
		}{
			{"add to the group", ask(alice, authorize, group, nil), true},
			{"add to another group", ask(alice, authorize, arnOf("ec2", "security-group/sg-0123456789abcdef0"), nil), false},
			{"add in another region", ask(alice, authorize, elsewhere, map[string]any{"aws:RequestedRegion": "us-east-1"}), false},
			{"add in another account", ask(alice, authorize, strings.Replace(group, simAccount, "210987654321", 1), nil), false},
			{"add a rule as oneself", ask(alice, authorize, anyRule, requestTags(owned(alice), nil)), true},
			{"add a rule as another", ask(alice, authorize, anyRule, requestTags(owned(bob), nil)), false},
			{"add a rule with the organisation's tag", ask(alice, authorize, anyRule, requestTags(owned(alice, "CostCenter"), nil)), true},
			{"add a rule with any other tag", ask(alice, authorize, anyRule, requestTags(owned(alice, "aws-exempt"), nil)), false},
			{"add a rule as provisioned", ask(alice, authorize, anyRule, requestTags(owned(alice, "emr-accessd-provisioned"), nil)), false},
			{"add a rule with another's lease", ask(alice, authorize, anyRule, requestTags(owned(alice, "emr-accessd-lease-"+bob+"-0123456789abcdef"), nil)), false},
			{"tag it while it is made", ask(alice, tag, anyRule, requestTags(owned(alice), created)), true},
			{"tag it as another's", ask(alice, tag, anyRule, requestTags(owned(bob), created)), false},
			{"tag another resource while it is made", ask(alice, tag, arnOf("ec2", "security-group/*"), requestTags(owned(alice), created)), false},
			{"own a rule that is there", ask(alice, tag, rule, requestTags(map[string]string{"emr-accessd-owner": alice}, nil)), false},
			{"own a rule of ours", ask(alice, tag, rule, requestTags(map[string]string{"emr-accessd-owner": alice}, ours)), false},
			{"own it along with a lease", ask(alice, tag, rule, requestTags(owned(alice), ours)), false},
			{"mark it as provisioned", ask(alice, tag, rule, requestTags(map[string]string{"emr-accessd-provisioned": "x"}, ours)), false},
			{"join a rule of ours", ask(alice, tag, rule, lease(mine, ours)), true},
			{"lease a rule that is not ours", ask(alice, tag, rule, lease(mine, nil)), false},
			{"lease an instance", ask(alice, tag, arnOf("ec2", "instance/i-0123456789abcdef0"), lease(mine, ours)), false},
			{"forge another's lease", ask(alice, tag, rule, lease("emr-accessd-lease-"+bob+"-0123456789abcdef", ours)), false},
			{"forge the lease of a session with a longer name", ask("AROAX:bob", tag, rule, lease("emr-accessd-lease-AROAX:bob-by-0123456789abcdef", ours)), false},
			{"its own lease", ask("AROAX:bob-by", tag, rule, lease("emr-accessd-lease-AROAX:bob-by-0123456789abcdef", ours)), true},
			{"leave", ask(alice, untag, rule, lease(mine, ours)), true},
			{"leave for another", ask(alice, untag, rule, lease("emr-accessd-lease-"+bob+"-0123456789abcdef", ours)), sweeps},
			{"delete all tags", ask(alice, untag, rule, ours), false},
			{"disown", ask(alice, untag, rule, requestTags(map[string]string{"emr-accessd-owner": bob}, ours)), false},
			{"move an own rule", ask(alice, modify, rule, map[string]any{"aws:ResourceTag/emr-accessd-owner": alice}), true},
			{"move a rule of another", ask(alice, modify, rule, ours), false},
			{"move a rule of nobody", ask(alice, modify, rule, nil), false},
			{"move in the group", ask(alice, modify, group, nil), true},
			{"move in another group", ask(alice, modify, arnOf("ec2", "security-group/sg-0123456789abcdef0"), nil), false},
			{"remove from the group", ask(alice, revoke, group, nil), true},
			{"remove from another group", ask(alice, revoke, arnOf("ec2", "security-group/sg-0123456789abcdef0"), nil), false},
			{"egress", ask(alice, "ec2:AuthorizeSecurityGroupEgress", group, nil), false},
			{"delete the group", ask(alice, "ec2:DeleteSecurityGroup", group, nil), false},
			{"look", ask(alice, "ec2:DescribeSecurityGroupRules", "*", nil), true},
			{"look in another region", ask(alice, "ec2:DescribeSecurityGroupRules", "*", map[string]any{"aws:RequestedRegion": "us-east-1"}), false},
			{"describe the cluster", ask(alice, "elasticmapreduce:DescribeCluster", arnOf("elasticmapreduce", "cluster/"+m.cluster), nil), true},
			{"describe another cluster", ask(alice, "elasticmapreduce:DescribeCluster", arnOf("elasticmapreduce", "cluster/j-ANOTHER"), nil), sweeps},
			{"end the cluster", ask(alice, "elasticmapreduce:TerminateJobFlows", arnOf("elasticmapreduce", "cluster/"+m.cluster), nil), false},
			{"the console of any instance", ask(alice, "ec2:GetConsoleOutput", arnOf("ec2", "instance/i-0123456789abcdef0"), nil), false},
			{"the console of a cluster's", ask(alice, "ec2:GetConsoleOutput", arnOf("ec2", "instance/i-0123456789abcdef0"),
				map[string]any{"aws:ResourceTag/aws:elasticmapreduce:job-flow-id": m.cluster}), sweeps},
		}
		var requests []iamRequest
		for _, c := range cases {
			requests = append(requests, c.request)
		}
		for i, got := range simulateIAM(t, text, requests) {
			want := "ImplicitlyDenied"
			if cases[i].allowed {
				want = "Allowed"
			}
			if got.Result != want || len(got.Ignored) > 0 {
				t.Errorf("%v, %s: %s, want %s; ignored %v %s", policy, cases[i].name, got.Result, want, got.Ignored, got.Detail)
			}
		}
	}
}
