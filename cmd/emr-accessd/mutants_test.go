package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

var seedMutants = flag.Bool("mutants", false, "build the program with each fault of mutants_test.go; the lease protocol's test must find it")

// mutant is a fault that TestTeam must find: each is a rule of the protocol left out, or the shortcut that seems
// to do as well.
type mutant struct {
	name  string
	edits []edit
}

// edit replaces a piece of a file, which must be there exactly once.
type edit struct{ file, from, to string }

var mutants = []mutant{
	{"a join is firm at once", []edit{{"internal/sgsync/plan.go", "return !p.now.Before(mine.FirmFrom) }", "return true }"}}},
	{"no re-read at firm-from", []edit{{"internal/sgsync/plan.go", "		p.out.lookAt(mine.FirmFrom)\n", ""}, {"internal/sgsync/plan.go", "	p.out.lookAt(c.FirmFrom)\n", ""}}},
	{"the SDK retries Modify", []edit{{"internal/awsclient/write.go", "c.ec2.ModifySecurityGroupRules(ctx, in, once)", "c.ec2.ModifySecurityGroupRules(ctx, in)"}}},
	{"no 5 s limit on writes after reads", []edit{{"internal/sgsync/apply.go", "age < 0 || age > WriteWindow", "false && age > WriteWindow"}}},
	{"an ended lease is renewed without a join", []edit{{"internal/sgsync/plan.go", "if ok && p.holds(mine) {\n		p.keep", "if ok {\n		p.keep"}}},
	{"moving with a lease that is not firm", []edit{{"internal/sgsync/plan.go", "p.holds(mine) && p.firm(mine) && rule.Managed()", "p.holds(mine) && rule.Managed()"}}},
	{"revoking by CIDR", []edit{
		{"internal/sgsync/apply.go", "err = r.API.Revoke(ctx, r.group, c.Rule)", "err = r.API.Revoke(ctx, r.group, c.CIDR.String())"},
		{"internal/awsclient/write.go", "	if err := checkRule(opRevoke, group, id); err != nil {\n		return err\n	}\n	in := &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, SecurityGroupRuleIds: []string{id}}",
			"	in := &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2types.IpPermission{{IpProtocol: aws.String(\"tcp\"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []ec2types.IpRange{{CidrIp: &id}}}}}"}}},
	{"the laptop's clock in place of AWS's", []edit{{"internal/keeper/group.go", "	me := r.me(w.cloud.Identity(), w.lease)\n", "	me := r.me(w.cloud.Identity(), w.lease)\n	raw.AWS = raw.Sent\n"}}},
	{"removal while the address is unknown", []edit{
		{"internal/sgsync/leave.go", "		if f.State == Unknown { // I2: while we do not know ourselves, nothing is removed\n			continue\n		}\n", ""}}},
	{"a rule without leases is trusted for ever", []edit{{"internal/sgsync/leave.go", "seen && p.now.Sub(first) >= Sigma", "false && seen && p.now.Sub(first) >= Sigma"}}},
	{"a rule without leases goes at first sight", []edit{{"internal/sgsync/leave.go", "	first, seen := p.have.Bare[rule.ID]\n", "	first, seen := p.now.Add(-Sigma), true\n"}}},
	{"a join is firm too early", []edit{{"internal/sgsync/timing.go", "D = W + Sigma + W + Sigma + ClockGrain", "D = ClockGrain"}}},
	{"a lost answer is believed", []edit{{"internal/sgsync/journal.go", "			delete(rules[i].Tags, w.Key)\n		case w.Maybe:", "		case w.Maybe:"}}},
	{"others' leases do not count", []edit{{"internal/sgsync/leave.go", "		if l.Key != p.me.Key() && l.Live(p.now.Add(-Grace)) {\n			return true\n		}\n	}\n	return false\n}\n\n// others", "	}\n	return false\n}\n\n// others"}}},
}

// A test that a broken protocol passes proves nothing about a whole one.
func TestMutants(t *testing.T) {
	if !*seedMutants {
		t.Skip("takes minutes; -mutants runs it")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			began := time.Now()
			out := m.test(t, root)
			t.Logf("found after %v: %s", time.Since(began).Round(time.Second), out)
		})
	}
}

var mutantFound = regexp.MustCompile(`\[rapid\] failed after (\d+) tests: (.*)`)

// test runs TestTeam over the mutant and returns what it found.
func (m mutant) test(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	texts, paths := map[string]string{}, map[string]string{}
	for i, e := range m.edits {
		file := filepath.Join(root, e.file)
		text, ok := texts[file]
		if !ok {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, paths[file] = string(data), filepath.Join(dir, fmt.Sprintf("%d.go", i))
		}
		if n := strings.Count(text, e.from); n != 1 {
			t.Fatalf("%s has the place of this fault %d times: adapt the fault to the code", e.file, n)
		}
		texts[file] = strings.Replace(text, e.from, e.to, 1)
	}
	for file, text := range texts {
		if err := os.WriteFile(paths[file], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": paths})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "team.test")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", bin, "-overlay", filepath.Join(dir, "overlay.json"), "./cmd/emr-accessd")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the fault does not compile: %v\n%s", err, out)
	}
	run := exec.CommandContext(ctx, bin, "-test.run=^TestTeam$", "-test.failfast", "-rapid.checks=4000", "-rapid.shrinktime=1ns", "-rapid.nofailfile")
	run.Dir = filepath.Join(root, "cmd", "emr-accessd")
	mototest.DieWithParent(run)
	var out bytes.Buffer
	run.Stdout, run.Stderr = &out, &out
	err = run.Run()
	found := mutantFound.FindStringSubmatch(out.String())
	if err == nil || found == nil {
		t.Fatalf("the fault was not found: %v\n%s", err, out.String())
	}
	return found[1] + " schedules, " + found[2]
}
