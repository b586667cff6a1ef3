package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

// motoWorld is a cluster of the EMR guide in moto, with EMR's own rules, a legacy public rule and a
// colleague's. Its nodes have random public addresses, which nobody here may dial.
type motoWorld struct {
	ec2             *ec2.Client
	endpoint        string
	cluster, master string
	*echoes
	dir string
}

func newMotoWorld(t *testing.T) *motoWorld {
	t.Helper()
	w := &motoWorld{endpoint: mototest.Start(t), dir: t.TempDir()}
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &w.endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	w.ec2 = ec2.NewFromConfig(cfg)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	vpc, err := w.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.20.0.0/16")})
	must(err)
	subnet, err := w.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.20.1.0/24")})
	must(err)
	group := func(name string) string {
		g, err := w.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &name, VpcId: vpc.Vpc.VpcId})
		must(err)
		return *g.GroupId
	}
	w.master = group("ElasticMapReduce-master")
	core := group("ElasticMapReduce-slave")
	authorize := func(id string, p types.IpPermission) {
		_, err := w.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: []types.IpPermission{p}})
		must(err)
	}
	perm := func(protocol string, from, to int32, cidrs ...string) types.IpPermission {
		p := types.IpPermission{IpProtocol: &protocol, FromPort: &from, ToPort: &to}
		for _, c := range cidrs {
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: &c})
		}
		return p
	}
	for _, id := range []string{w.master, core} {
		for _, p := range []types.IpPermission{perm("tcp", 0, 65535), perm("udp", 0, 65535), perm("icmp", -1, -1)} {
			p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: &w.master}, {GroupId: &core}}
			authorize(id, p)
		}
	}
	authorize(w.master, perm("tcp", 8443, 8443, "207.171.167.25/32"))
	authorize(w.master, perm("tcp", 22, 22, "0.0.0.0/0", "203.0.113.200/32"))
	one := int32(1)
	out, err := emr.NewFromConfig(cfg).RunJobFlow(ctx, &emr.RunJobFlowInput{Name: aws.String("nightly-etl"), ReleaseLabel: aws.String("emr-7.5.0"),
		ServiceRole: aws.String("EMR_DefaultRole"), JobFlowRole: aws.String("EMR_EC2_DefaultRole"),
		Instances: &emrtypes.JobFlowInstancesConfig{Ec2SubnetId: subnet.Subnet.SubnetId, KeepJobFlowAliveWhenNoSteps: aws.Bool(true),
			EmrManagedMasterSecurityGroup: &w.master, EmrManagedSlaveSecurityGroup: &core,
			InstanceGroups: []emrtypes.InstanceGroupConfig{{InstanceRole: emrtypes.InstanceRoleTypeMaster, InstanceCount: &one, InstanceType: aws.String("m5.xlarge")}}}})
	must(err)
	w.cluster = *out.JobFlowId
	w.echoes, err = newEchoes(w.dir)
	must(err)
	t.Cleanup(w.echoes.close)
	text := w.config(w.dir, fmt.Sprintf("[[target]]\ncluster = %q\n[[target]]\ncluster = \"j-NOSUCHCLUSTER\"\n", w.cluster))
	must(os.WriteFile(filepath.Join(w.dir, "config.toml"), []byte(text), 0o600))
	return w
}

// rules lists the master group, one a line.
func (w *motoWorld) rules(t *testing.T) []string {
	t.Helper()
	out, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{{Name: aws.String("group-id"), Values: []string{w.master}}}})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range out.SecurityGroupRules {
		slices.SortFunc(r.Tags, func(a, b types.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
		source := ""
		if r.ReferencedGroupInfo != nil {
			source = aws.ToString(r.ReferencedGroupInfo.GroupId)
		}
		line := fmt.Sprintf("%s %s %d-%d %s%s", *r.SecurityGroupRuleId, aws.ToString(r.IpProtocol), aws.ToInt32(r.FromPort), aws.ToInt32(r.ToPort), aws.ToString(r.CidrIpv4), source)
		for _, tag := range r.Tags {
			line += fmt.Sprintf(" %s=%s", *tag.Key, *tag.Value)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// program runs the built program (this test binary, see TestMain) and returns its exit code.
func (w *motoWorld) program(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Args = append([]string{"emr-accessd"}, args...)
	cmd.Path = programPath(t)
	cmd.Env = []string{coverage(), "PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "AWS_ENDPOINT_URL=" + w.endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=us-east-1", "EMR_ACCESSD_CONFIG=" + filepath.Join(w.dir, "config.toml"), "EMR_ACCESSD_STATE=" + filepath.Join(w.dir, "state"),
		"AWS_CONFIG_FILE=" + filepath.Join(w.dir, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(w.dir, "none")}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// programPath is the program that testscript.Main put into PATH.
func programPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("emr-accessd")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMoto does the main job against somebody else's simulation of AWS.
func TestMoto(t *testing.T) {
	w := newMotoWorld(t)
	before := w.rules(t)
	w.set("all", "198.51.100.7")
	mine := func() (line string) {
		t.Helper()
		var others []string
		for _, l := range w.rules(t) {
			if strings.Contains(l, "emr-accessd-owner") {
				if line != "" {
					t.Fatalf("two rules: %s and %s", line, l)
				}
				line = l
				continue
			}
			others = append(others, l)
		}
		if !slices.Equal(others, before) {
			t.Fatalf("rules of others changed:\n%s\nwere\n%s", strings.Join(others, "\n"), strings.Join(before, "\n"))
		}
		return line
	}
	id := func(line string) string { s, _, _ := strings.Cut(line, " "); return s }
	sync := func(wantCode int, args ...string) keeper.Report {
		t.Helper()
		out, errs, code := w.program(t, append([]string{"sync", "--json"}, args...)...)
		if code != wantCode {
			t.Fatalf("sync %v: exit %d, want %d\n%s\n%s", args, code, wantCode, out, errs)
		}
		var rep keeper.Report
		if err := json.Unmarshal([]byte(out), &rep); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		return rep
	}
	do := func(rep keeper.Report) string {
		t.Helper()
		if len(rep.Targets) == 0 || len(rep.Targets[0].Groups) != 1 || len(rep.Targets[0].Groups[0].Changes) != 1 {
			t.Fatalf("report %+v", rep)
		}
		return rep.Targets[0].Groups[0].Changes[0].Do
	}

	if got := do(sync(exitFindings, w.cluster, "--dry-run")); got != "add" || mine() != "" {
		t.Fatalf("dry run: %s, rule %q", got, mine())
	}
	if got := do(sync(exitDone, w.cluster)); got != "add" {
		t.Fatal(got)
	}
	first := mine()
	if !strings.Contains(first, "tcp 22-22 198.51.100.7/32") {
		t.Fatal(first)
	}
	if got := do(sync(exitDone, w.cluster)); got != "keep" || mine() != first {
		t.Fatalf("second round: %s, %s", got, mine())
	}
	// One target that fails does not stop the other.
	rep := sync(exitUsage)
	if rep.Targets[0].Error != nil || rep.Targets[1].Error == nil || do(rep) != "keep" {
		t.Fatalf("%+v", rep)
	}
	w.set("all", "203.0.113.9")
	if got := do(sync(exitDone, w.cluster)); got != "move" || id(mine()) != id(first) || !strings.Contains(mine(), "203.0.113.9/32") {
		t.Fatalf("%s: %s", got, mine())
	}
	moved := mine()
	for _, bad := range []struct{ what, aws, others, state string }{
		{"sources disagree", "198.51.100.1", "198.51.100.2", "conflict"},
		{"HTML", "html", "html", ""},
		{"gone", "down", "down", ""},
	} {
		w.set("all", bad.others)
		w.set("aws", bad.aws)
		rep := sync(exitAddress, w.cluster)
		v := rep.Targets[0].Verdicts["ipv4"]
		if mine() != moved || v.Why == "" || v.State == "confirmed" || bad.state != "" && v.State != bad.state {
			t.Errorf("%s: %+v, rule %s", bad.what, v, mine())
		}
	}
	if out, errs, code := w.program(t, "revoke"); code != exitDone || mine() != "" {
		t.Fatalf("revoke: exit %d, rule %q\n%s%s", code, mine(), out, errs)
	}
	if after := w.rules(t); !slices.Equal(before, after) {
		t.Fatalf("the group is not as it was:\n%s", strings.Join(after, "\n"))
	}
}
