package awssim_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

// cli is the aws CLI, a client with a model of its own, pointed at a Sim.
type cli struct {
	path, endpoint string
	env            []string
}

func newCLI(t *testing.T, endpoint string) cli {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no child processes")
	}
	path, err := exec.LookPath("aws")
	if err != nil {
		mototest.Need(t, "the aws CLI", err)
	}
	home := t.TempDir()
	return cli{path, endpoint, append(withoutAWS(os.Environ()),
		"AWS_ENDPOINT_URL="+endpoint, "AWS_ACCESS_KEY_ID=AKIACLI0000000000000", "AWS_SECRET_ACCESS_KEY=any", "AWS_DEFAULT_REGION="+testRegion,
		"AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(home, "credentials"))}
}

func withoutAWS(env []string) []string {
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, "AWS_") {
			out = append(out, v)
		}
	}
	return out
}

// run runs one command, and decodes its JSON into v unless v is nil. It returns what went to stderr.
func (c cli) run(t *testing.T, v any, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), c.path, append(args, "--output", "json")...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, &stdout, &stderr
	cmd.WaitDelay = 10 * time.Second
	mototest.DieWithParent(cmd)
	err := cmd.Run()
	if err == nil && v != nil {
		if err := json.Unmarshal(stdout.Bytes(), v); err != nil {
			t.Fatalf("aws %s: %v in %q", strings.Join(args, " "), err, stdout.String())
		}
	}
	return stderr.String(), err
}

// must runs a command that has to succeed.
func (c cli) must(t *testing.T, v any, args ...string) {
	t.Helper()
	if stderr, err := c.run(t, v, args...); err != nil {
		t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
}

type cliRule struct {
	SecurityGroupRuleID, GroupID, GroupOwnerID, IPProtocol, CIDRIPv4, CIDRIPv6, Description string
	IsEgress                                                                                bool
	FromPort, ToPort                                                                        int
	Tags                                                                                    []struct{ Key, Value string }
	ReferencedGroupInfo                                                                     struct{ GroupID string }
}

func TestAWSCLI(t *testing.T) {
	t.Parallel() // each command starts a Python of its own
	sim := awssim.New(awssim.Options{})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	aws := newCLI(t, server.URL)
	vpc := sim.AddVPC(false)
	master := sim.AddGroup(vpc, "ElasticMapReduce-master", "Master group")
	extra := sim.AddGroup(vpc, "data-team-ssh", "SSH")
	sim.AddRule(master, awssim.RuleSpec{FromPort: 0, ToPort: 65535, SourceGroup: master})
	cluster := sim.AddCluster(awssim.ClusterSpec{
		Name: "nightly-etl", KeyName: "team", MasterGroup: master, CoreGroup: master, AdditionalMaster: []string{extra},
		Tags:  map[string]string{"team": "data"},
		Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.10", IPv6: "2001:db8::10", Console: "ec2: ssh-ed25519 AAAA\r\n"}, {Role: "CORE", PublicIP: "203.0.113.11"}},
	})
	node := sim.Nodes(cluster)[0].InstanceID

	t.Run("sts get-caller-identity", func(t *testing.T) {
		var out struct{ UserID, Account, Arn string }
		aws.must(t, &out, "sts", "get-caller-identity")
		equal(t, "account", out.Account, "123456789012")
		equal(t, "ARN", out.Arn, "arn:aws:iam::123456789012:user/sim")
	})
	t.Run("emr", func(t *testing.T) {
		t.Parallel()
		cliEMR(t, aws, cluster, node, master, extra)
	})
	t.Run("ec2 instances", func(t *testing.T) {
		t.Parallel()
		cliInstances(t, aws, node, master, extra)
	})
	t.Run("ec2 rules", func(t *testing.T) {
		t.Parallel()
		cliRules(t, aws, sim, master)
	})
	t.Run("errors", func(t *testing.T) {
		t.Parallel()
		for want, args := range map[string][]string{
			"(InvalidGroup.NotFound)":                {"ec2", "describe-security-groups", "--group-ids", "sg-0123456789abcdef0"},
			"(DryRunOperation)":                      {"ec2", "describe-vpcs", "--dry-run"},
			"Cluster id 'j-UNKNOWN' is not valid":    {"emr", "list-instances", "--cluster-id", "j-UNKNOWN"},
			"(InvalidSecurityGroupRuleId.Malformed)": {"ec2", "describe-security-group-rules", "--security-group-rule-ids", "sgr-x"},
		} {
			if stderr, err := aws.run(t, nil, args...); err == nil || !strings.Contains(stderr, want) {
				t.Errorf("aws %s: %v %s, want %s", strings.Join(args, " "), err, stderr, want)
			}
		}
	})
}

func cliEMR(t *testing.T, aws cli, cluster, node, master, extra string) {
	var described struct {
		Cluster struct {
			ID, Name, ReleaseLabel, MasterPublicDNSName, InstanceCollectionType string
			Status                                                              struct{ State string }
			Ec2InstanceAttributes                                               struct {
				Ec2KeyName, EmrManagedMasterSecurityGroup string
				AdditionalMasterSecurityGroups            []string
			}
			Tags           []struct{ Key, Value string }
			InstanceGroups []struct {
				InstanceGroupType    string
				RunningInstanceCount int
			}
		}
	}
	aws.must(t, &described, "emr", "describe-cluster", "--cluster-id", cluster)
	c := described.Cluster
	equal(t, "name", c.Name, "nightly-etl")
	equal(t, "state", c.Status.State, "WAITING")
	equal(t, "master", c.MasterPublicDNSName, "ec2-203-0-113-10.compute-1.amazonaws.com")
	equal(t, "group", c.Ec2InstanceAttributes.EmrManagedMasterSecurityGroup, master)
	equal(t, "additional", strings.Join(c.Ec2InstanceAttributes.AdditionalMasterSecurityGroups, " "), extra)
	equal(t, "key", c.Ec2InstanceAttributes.Ec2KeyName, "team")
	if len(c.Tags) != 1 || c.Tags[0].Value != "data" || len(c.InstanceGroups) != 2 || c.InstanceGroups[0].RunningInstanceCount != 1 {
		t.Errorf("tags and groups are %+v %+v", c.Tags, c.InstanceGroups)
	}

	var listed struct {
		Clusters []struct {
			ID     string
			Status struct {
				Timeline struct{ CreationDateTime any }
			}
		}
	}
	aws.must(t, &listed, "emr", "list-clusters", "--active")
	if len(listed.Clusters) != 1 || listed.Clusters[0].ID != cluster || listed.Clusters[0].Status.Timeline.CreationDateTime == nil {
		t.Errorf("clusters are %+v", listed.Clusters)
	}

	var instances struct {
		Instances []struct{ Ec2InstanceID, PublicIPAddress string }
	}
	aws.must(t, &instances, "emr", "list-instances", "--cluster-id", cluster, "--instance-group-types", "MASTER")
	if len(instances.Instances) != 1 || instances.Instances[0].Ec2InstanceID != node || instances.Instances[0].PublicIPAddress != "203.0.113.10" {
		t.Errorf("instances are %+v", instances.Instances)
	}
}

func cliInstances(t *testing.T, aws cli, node, master, extra string) {
	var described struct {
		Reservations []struct {
			Instances []struct {
				InstanceID, KeyName string
				State               struct{ Name string }
				NetworkInterfaces   []struct {
					Groups        []struct{ GroupID string }
					Ipv6Addresses []struct{ Ipv6Address string }
				}
			}
		}
	}
	aws.must(t, &described, "ec2", "describe-instances", "--instance-ids", node)
	i := described.Reservations[0].Instances[0]
	equal(t, "state", i.State.Name, "running")
	equal(t, "key", i.KeyName, "team")
	equal(t, "IPv6", i.NetworkInterfaces[0].Ipv6Addresses[0].Ipv6Address, "2001:db8::10")
	groups := i.NetworkInterfaces[0].Groups
	if len(groups) != 2 || groups[0].GroupID != master || groups[1].GroupID != extra {
		t.Errorf("groups are %+v", groups)
	}
	var console struct{ InstanceID, Output string }
	aws.must(t, &console, "ec2", "get-console-output", "--instance-id", node, "--latest")
	equal(t, "console", console.Output, "ec2: ssh-ed25519 AAAA\r\n")
}

func cliRules(t *testing.T, aws cli, sim *awssim.Sim, master string) {
	rules := func(args ...string) []cliRule {
		t.Helper()
		var out struct{ SecurityGroupRules []cliRule }
		aws.must(t, &out, append([]string{"ec2", "describe-security-group-rules", "--filters", "Name=group-id,Values=" + master}, args...)...)
		return out.SecurityGroupRules
	}
	equal(t, "rules at first", len(rules()), 2)

	var added struct {
		Return             bool
		SecurityGroupRules []cliRule
	}
	aws.must(t, &added, "ec2", "authorize-security-group-ingress", "--group-id", master,
		"--ip-permissions", "IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=203.0.113.7/32,Description=alice}]",
		"--tag-specifications", "ResourceType=security-group-rule,Tags=[{Key=owner,Value=AIDA1}]")
	if len(added.SecurityGroupRules) != 1 || !added.Return {
		t.Fatalf("answer is %+v", added)
	}
	r := added.SecurityGroupRules[0]
	equal(t, "CIDR", r.CIDRIPv4, "203.0.113.7/32")
	equal(t, "owner account", r.GroupOwnerID, "123456789012")
	equal(t, "tag", r.Tags[0].Value, "AIDA1")
	equal(t, "paged", len(rules("--page-size", "5")), 3)

	aws.must(t, nil, "ec2", "modify-security-group-rules", "--group-id", master, "--security-group-rules",
		"SecurityGroupRuleId="+r.SecurityGroupRuleID+",SecurityGroupRule={IpProtocol=tcp,FromPort=22,ToPort=22,CidrIpv4=203.0.113.8/32,Description=moved}")
	aws.must(t, nil, "ec2", "create-tags", "--resources", r.SecurityGroupRuleID, "--tags", "Key=lease,Value=x")
	aws.must(t, nil, "ec2", "delete-tags", "--resources", r.SecurityGroupRuleID, "--tags", "Key=lease,Value=y", "Key=owner,Value=AIDA1")
	var byID struct{ SecurityGroupRules []cliRule }
	aws.must(t, &byID, "ec2", "describe-security-group-rules", "--security-group-rule-ids", r.SecurityGroupRuleID)
	now := byID.SecurityGroupRules[0]
	equal(t, "moved CIDR", now.CIDRIPv4, "203.0.113.8/32")
	equal(t, "description", now.Description, "moved")
	if len(now.Tags) != 1 || now.Tags[0].Key != "lease" || now.Tags[0].Value != "x" {
		t.Errorf("tags are %+v", now.Tags)
	}

	var revoked struct {
		Return                    bool
		RevokedSecurityGroupRules []cliRule
	}
	aws.must(t, &revoked, "ec2", "revoke-security-group-ingress", "--group-id", master, "--security-group-rule-ids", r.SecurityGroupRuleID)
	if !revoked.Return || len(revoked.RevokedSecurityGroupRules) != 1 || revoked.RevokedSecurityGroupRules[0].CIDRIPv4 != "203.0.113.8/32" {
		t.Errorf("answer is %+v", revoked)
	}
	equal(t, "rules in truth", len(sim.Rules(master)), 1)
	equal(t, "the group's own rule", rulesFrom(rules(), master), 1)
}

// rulesFrom counts the rules whose source is a group.
func rulesFrom(rules []cliRule, group string) (n int) {
	for _, r := range rules {
		if r.ReferencedGroupInfo.GroupID == group {
			n++
		}
	}
	return n
}
