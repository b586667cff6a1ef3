package awssim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

func TestPrincipals(t *testing.T) {
	m := newMemory(awssim.Options{Account: "111122223333"}, as("AKIAALICE00000000000"))
	who, err := m.sts.GetCallerIdentity(t.Context(), nil)
	check(t, err)
	equal(t, "default ARN", *who.Arn, "arn:aws:iam::111122223333:user/sim")
	m.sim.AddPrincipal("AKIAALICE00000000000", awssim.Principal{
		UserID: "AROA1:alice", ARN: "arn:aws:sts::444455556666:assumed-role/Dev/alice", Account: "444455556666",
	})
	who, err = m.sts.GetCallerIdentity(t.Context(), nil)
	check(t, err)
	equal(t, "user", *who.UserId, "AROA1:alice")
	equal(t, "account", *who.Account, "444455556666")
}

func TestDenials(t *testing.T) {
	m := newMemory(awssim.Options{}, as("AKIAALICE00000000000"))
	m.sim.AddPrincipal("AKIAALICE00000000000", awssim.Principal{Deny: []string{"ec2:Revoke*", "ec2:CreateTags", "elasticmapreduce:*", "sts:*"}})
	r := m.authorize(t, m.groupID, ssh("203.0.113.1/32", ""))

	err := m.revoke(t, m.groupID, *r.SecurityGroupRuleId)
	wantCode(t, err, "UnauthorizedOperation")
	if !strings.Contains(err.Error(), "not authorized to perform: ec2:RevokeSecurityGroupIngress") {
		t.Errorf("the error is %v", err)
	}
	equal(t, "status", m.sim.Calls()[1].Status, 403)
	_, err = m.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
		GroupId: &m.groupID, SecurityGroupRuleIds: []string{*r.SecurityGroupRuleId}, DryRun: aws.Bool(true),
	})
	wantCode(t, err, "UnauthorizedOperation")
	wantCode(t, m.tag(t, r.SecurityGroupRuleId, "k", "v"), "UnauthorizedOperation")
	// Tags in the call that makes the rule need ec2:CreateTags too.
	_, err = m.tryAuthorize(t, m.groupID, ssh("203.0.113.2/32", ""), "k", "v")
	wantCode(t, err, "UnauthorizedOperation")
	_, err = m.emr.ListClusters(t.Context(), nil)
	wantCode(t, err, "AccessDeniedException")
	_, err = m.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::1:role/x"), RoleSessionName: aws.String("xx")})
	wantCode(t, err, "AccessDenied")
	_, err = m.sts.GetCallerIdentity(t.Context(), nil)
	check(t, err) // "even under explicit deny"
	equal(t, "rules", len(m.sim.Rules(m.groupID)), 1)

	m.sim.AddPrincipal("AKIAALICE00000000000", awssim.Principal{Deny: []string{"ec2:CreateTags"}, TagOnCreate: true})
	m.authorize(t, m.groupID, ssh("203.0.113.2/32", ""), "k", "v")
	wantCode(t, m.tag(t, r.SecurityGroupRuleId, "k", "v"), "UnauthorizedOperation")
}

func TestExpiredCredentials(t *testing.T) {
	m := newMemory(awssim.Options{}, as("ASIAOLD0000000000000"))
	m.sim.AddPrincipal("ASIAOLD0000000000000", awssim.Principal{Expired: true})
	wantCode(t, describeRulesOf(t, m), "RequestExpired")
	_, err := m.emr.ListClusters(t.Context(), &emr.ListClustersInput{})
	wantCode(t, err, "ExpiredTokenException")
	_, err = m.sts.GetCallerIdentity(t.Context(), nil)
	wantCode(t, err, "ExpiredToken")
}

func TestAssumedRoleEnds(t *testing.T) {
	c := newClock()
	m := newMemory(awssim.Options{Now: c.Now})
	out, err := m.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::444455556666:role/path/Dev"), RoleSessionName: aws.String("alice"), DurationSeconds: aws.Int32(900),
	})
	check(t, err)
	equal(t, "end", out.Credentials.Expiration.Equal(c.Now().Add(15*time.Minute)), true)
	cfg := clientConfig("https://aws.example", *out.Credentials.AccessKeyId)
	cfg.HTTPClient = m.sim.Client()
	client := sts.NewFromConfig(cfg)
	who, err := client.GetCallerIdentity(t.Context(), nil)
	check(t, err)
	equal(t, "ARN", *who.Arn, "arn:aws:sts::444455556666:assumed-role/Dev/alice")
	c.advance(15 * time.Minute)
	_, err = client.GetCallerIdentity(t.Context(), nil)
	wantCode(t, err, "ExpiredToken")

	for _, in := range []*sts.AssumeRoleInput{
		{RoleArn: aws.String("nonsense"), RoleSessionName: aws.String("alice")},
		{RoleArn: aws.String("arn:aws:iam::1:role/x"), RoleSessionName: aws.String("a")},
		{RoleArn: aws.String("arn:aws:iam::1:role/x"), RoleSessionName: aws.String("alice"), DurationSeconds: aws.Int32(10)},
	} {
		_, err := m.sts.AssumeRole(t.Context(), in)
		wantCode(t, err, "ValidationError")
	}
}

func TestAnotherRegionIsRefused(t *testing.T) {
	m := newMemory(awssim.Options{Region: "eu-west-1"})
	wantCode(t, describeRulesOf(t, m), "AuthFailure")
	_, err := m.emr.ListClusters(t.Context(), nil)
	wantCode(t, err, "InvalidSignatureException")
	_, err = m.sts.GetCallerIdentity(t.Context(), nil)
	check(t, err)
	m = newMemory(awssim.Options{Region: "eu-west-1"}, func(cfg *aws.Config) { cfg.Region = "eu-west-1" })
	check(t, describeRulesOf(t, m))
}

func TestCallsTellReadsFromWrites(t *testing.T) {
	m := newMemory(awssim.Options{})
	check(t, describeRulesOf(t, m))
	r := m.authorize(t, m.groupID, ssh("203.0.113.1/32", ""))
	_, err := m.ec2.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
		GroupId: &m.groupID, SecurityGroupRuleIds: []string{*r.SecurityGroupRuleId}, DryRun: aws.Bool(true),
	})
	wantCode(t, err, "DryRunOperation")
	_, err = m.emr.ListClusters(t.Context(), &emr.ListClustersInput{ClusterStates: []emrtypes.ClusterState{"WAITING", "RUNNING"}})
	check(t, err)
	_, err = m.sts.GetCallerIdentity(t.Context(), nil)
	check(t, err)
	calls := m.sim.Calls()
	equal(t, "calls", len(calls), 5)
	for i, want := range []bool{false, true, false, false, false} {
		equal(t, calls[i].Action+" is a write", calls[i].Write(), want)
	}
	equal(t, "service", calls[1].Service, "ec2")
	equal(t, "key", calls[1].AccessKey, "AKIATESTTESTTESTTEST")
	equal(t, "parameter", calls[1].Params["IpPermissions.1.IpRanges.1.CidrIp"], "203.0.113.1/32")
	equal(t, "status", calls[2].Status, 412)
	equal(t, "code", calls[2].Code, "DryRunOperation")
	equal(t, "EMR parameter", calls[3].Params["ClusterStates.2"], "RUNNING")
	equal(t, "EMR service", calls[3].Service, "elasticmapreduce")
	m.sim.ResetCalls()
	equal(t, "calls after reset", len(m.sim.Calls()), 0)
}
