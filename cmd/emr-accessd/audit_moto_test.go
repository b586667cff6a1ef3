package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestMotoAudit looks at, closes and restores the public rule of a group in somebody else's simulation of AWS.
// It names the group, not the cluster: nobody here may dial moto's nodes, which have public addresses.
func TestMotoAudit(t *testing.T) {
	w := newMotoWorld(t)
	w.set("all", "198.51.100.7")
	audit := func(wantCode int, args ...string) auditTarget {
		t.Helper()
		out, errs, code := w.program(t, append([]string{"audit", w.master, "--json"}, args...)...)
		var answer auditAnswer
		if err := json.Unmarshal([]byte(out), &answer); err != nil || code != wantCode || len(answer.Targets) != 1 {
			t.Fatalf("exit %d, want %d, %v\n%s%s", code, wantCode, err, out, errs)
		}
		return answer.Targets[0]
	}
	public := func(a auditTarget) (ids []string) {
		for _, f := range a.Findings {
			if f.ID == "public-port" {
				ids = append(ids, string(f.Severity)+" "+f.Resources[0])
			}
		}
		return ids
	}
	// The group is on no interface: moto gives EMR's nodes the default group.
	if got := public(audit(exitFindings)); len(got) != 1 || !strings.HasPrefix(got[0], "low ") {
		t.Fatalf("public rules: %v", got)
	}
	all, err := w.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all.NetworkInterfaces {
		if _, err := w.ec2.ModifyNetworkInterfaceAttribute(t.Context(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: i.NetworkInterfaceId, Groups: []string{w.master}}); err != nil {
			t.Fatal(err)
		}
	}
	got := audit(exitFindings, "--from", "203.0.113.200")
	if ids := public(got); len(ids) != 1 || !strings.HasPrefix(ids[0], "high ") || len(got.From.Rules) != 2 {
		t.Fatalf("public rules: %v; %+v", ids, got.From)
	}
	if byCluster, _, _ := w.program(t, "audit", w.cluster); !strings.Contains(byCluster, "1 primary node") || !strings.Contains(byCluster, "public-port") {
		t.Errorf("by the cluster:\n%s", byCluster)
	}
	w.doctor(t)
	before := w.rules(t)
	id := strings.TrimPrefix(public(got)[0], "high ")

	out, errs, code := w.program(t, "close-public", w.master, "--yes", "--json")
	var closed closeAnswer
	if err := json.Unmarshal([]byte(out), &closed); err != nil || code != exitDone || len(closed.Close) != 1 || closed.Close[0].Rule != id || closed.Close[0].State != "closed" || closed.Proof.Result != "not-tried" {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	gone, mine := 0, 0
	now := w.rules(t)
	for _, l := range before {
		if !strings.Contains(strings.Join(now, "\n")+"\n", l+"\n") {
			gone++
		}
	}
	for _, l := range now {
		if strings.Contains(l, "emr-accessd-owner") {
			mine++
		}
	}
	if gone != 1 || mine != 1 || len(public(audit(exitFindings))) != 0 {
		t.Fatalf("%d rules went, %d are ours:\n%s\nwere\n%s", gone, mine, strings.Join(now, "\n"), strings.Join(before, "\n"))
	}

	// The AWS CLI puts it back by the printed command, where there is one; then ours finds it there already.
	if _, err := exec.LookPath("aws"); err == nil {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", closed.Close[0].RestoreAWS)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=" + w.endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "HOME=" + w.dir}
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", closed.Close[0].RestoreAWS, err, text)
		}
		if out, _, code := w.program(t, "close-public", "--restore", id, "--yes"); code != exitDone || !strings.Contains(out, "there already") {
			t.Errorf("exit %d: %s", code, out)
		}
	} else if out, _, code := w.program(t, "close-public", "--restore", id, "--yes"); code != exitDone || !strings.Contains(out, "again: sgr-") {
		t.Errorf("exit %d: %s", code, out)
	}
	if ids := public(audit(exitFindings)); len(ids) != 1 {
		t.Errorf("after restoring: %v", ids)
	}
}
