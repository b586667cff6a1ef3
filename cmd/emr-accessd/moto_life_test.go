package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestMotoLife does what surrounds the main job against somebody else's simulation: the policy and its check, a pause, the
// list of clusters, what others and lost computers have left behind.
func TestMotoLife(t *testing.T) {
	w := newMotoWorld(t)
	before := w.rules(t)
	w.set("all", "198.51.100.7")
	run := func(want int, args ...string) string {
		t.Helper()
		out, errs, code := w.program(t, args...)
		if code != want {
			t.Fatalf("%v: exit %d, want %d\n%s%s", args, code, want, out, errs)
		}
		return out + errs
	}
	left := func(cidr, user string, ends time.Duration) string {
		t.Helper()
		value := time.Now().Add(ends).UTC().Format(time.RFC3339) + " 2020-01-01T00:00:00Z gone@laptop"
		out, err := w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &w.master,
			IpPermissions: []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []types.IpRange{{CidrIp: &cidr}}}},
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroupRule, Tags: []types.Tag{
				{Key: aws.String("emr-accessd-owner"), Value: &user},
				{Key: aws.String("emr-accessd-lease-" + user + "-0123456789abcdef"), Value: &value}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return *out.SecurityGroupRules[0].SecurityGroupRuleId
	}
	has := func(id string) bool {
		return slices.ContainsFunc(w.rules(t), func(l string) bool { return strings.HasPrefix(l, id+" ") })
	}

	if out := run(exitDone, "clusters", "--json"); !strings.Contains(out, w.cluster) || !strings.Contains(out, w.master) {
		t.Errorf("clusters: %s", out)
	}
	if out := run(exitDone, "init", "--print", w.cluster); !strings.Contains(out, fmt.Sprintf("cluster = %q", w.cluster)) || !strings.Contains(out, `account = "123456789012"`) {
		t.Errorf("init: %s", out)
	}
	if out := run(exitDone, "policy", w.cluster); !strings.Contains(out, ":security-group/"+w.master+`"`) {
		t.Errorf("policy: %s", out)
	}

	run(exitDone, "sync", w.cluster)
	held := w.rules(t)
	var ans checkAnswer
	if err := json.Unmarshal([]byte(run(exitDone, "policy", "--check", "--json", w.cluster)), &ans); err != nil {
		t.Fatal(err)
	}
	for _, c := range ans.Checks {
		if c.Result != allowed {
			t.Errorf("%+v", c)
		}
	}
	if now := w.rules(t); !slices.Equal(now, held) {
		t.Errorf("the check has changed rules:\n%s", strings.Join(now, "\n"))
	}

	run(exitDone, "pause", "--for", "1h")
	if out := run(exitDone, "status"); !strings.Contains(out, "paused until") {
		t.Errorf("status: %s", out)
	}
	w.set("all", "203.0.113.9")
	run(exitUsage, "resume") // the second target of the configuration does not exist
	if now := w.rules(t); !slices.ContainsFunc(now, func(l string) bool {
		return strings.Contains(l, "203.0.113.9/32") && strings.Contains(l, "emr-accessd-owner")
	}) {
		t.Errorf("resumed, and the rule has not followed:\n%s", strings.Join(now, "\n"))
	}

	user := "AKIAIOSFODNN7EXAMPLE" // moto's UserId for everybody
	for l := range strings.Lines(strings.Join(w.rules(t), "\n")) {
		if _, rest, ok := strings.Cut(l, "emr-accessd-owner="); ok {
			user = strings.Fields(rest)[0]
		}
	}
	ended, alive, lost := left("203.0.113.70/32", "AIDAGONE", -time.Hour), left("203.0.113.71/32", "AIDABOB", time.Hour), left("203.0.113.72/32", user, time.Hour)
	run(exitFindings, "sweep", "--all", "--dry-run")
	if !has(ended) {
		t.Fatal("a dry run has removed a rule")
	}
	run(exitDone, "sweep", w.cluster)
	if has(ended) || !has(alive) || !has(lost) {
		t.Errorf("after a sweep:\n%s", strings.Join(w.rules(t), "\n"))
	}
	run(exitDone, "revoke", "--all-mine")
	if has(lost) || !has(alive) {
		t.Errorf("after giving back all of mine:\n%s", strings.Join(w.rules(t), "\n"))
	}
	after := slices.DeleteFunc(w.rules(t), func(l string) bool { return strings.HasPrefix(l, alive+" ") })
	if !slices.Equal(after, before) {
		t.Errorf("the group is not as it was:\n%s", strings.Join(after, "\n"))
	}
}
