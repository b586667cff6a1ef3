package awssim_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

const testRegion = "us-east-1"

// world is an endpoint with one cluster in a VPC of its own, seen through the real SDK.
type world struct {
	maker

	endpoint                 string
	ec2                      *ec2.Client
	emr                      *emr.Client
	sts                      *sts.Client
	vpc, subnet, defaultVPC  string
	cluster                  string
	master, core, additional string // groups of the cluster
	groups                   int    // made so far, for their names
}

// maker makes what the simulation has no operation for.
type maker interface {
	// vpcs returns a VPC with a public subnet, and the default VPC.
	vpcs(t *testing.T, w *world) (vpc, subnet, defaultVPC string)
	// newCluster makes a cluster with one master and core instances, in the world's subnet, and with the world's groups.
	newCluster(t *testing.T, w *world, name string, cores int) string
	terminate(t *testing.T, w *world, cluster string)
	newKeyPair(t *testing.T, w *world, name, public string)
	// newPrefixList makes an IPv4 list of at most 5 entries.
	newPrefixList(t *testing.T, w *world, name, cidr, description string) string
}

func clientConfig(endpoint, accessKey string) aws.Config {
	return aws.Config{
		HTTPClient:   &http.Client{Transport: plainBody{&http.Transport{}}},
		Region:       testRegion,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, "secret", ""),
		BaseEndpoint: aws.String(endpoint),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// plainBody hides WriteTo of the SDK's request bodies. smithy-go closes a body as soon as the response begins, and
// WriteTo of a closed body returns io.EOF, for which net/http closes the connection in the middle of a
// long answer ("use of closed network connection", aws-sdk-go-v2#2737). A loopback answer is quick enough for that.
type plainBody struct{ http.RoundTripper }

func (p plainBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		clone := *r
		clone.Body = struct{ io.ReadCloser }{r.Body}
		r = &clone
	}
	return p.RoundTripper.RoundTrip(r)
}

func newWorld(t *testing.T, endpoint string, m maker) *world {
	t.Helper()
	cfg := clientConfig(endpoint, "AKIATESTTESTTESTTEST")
	w := &world{
		maker: m, endpoint: endpoint,
		ec2: ec2.NewFromConfig(cfg), emr: emr.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg),
	}
	w.vpc, w.subnet, w.defaultVPC = m.vpcs(t, w)
	w.master = w.groupIn(t, w.vpc, "ElasticMapReduce-master")
	w.core = w.groupIn(t, w.vpc, "ElasticMapReduce-slave")
	w.additional = w.groupIn(t, w.vpc, "data-team-ssh")
	w.cluster = m.newCluster(t, w, "nightly-etl", 2)
	return w
}

func (w *world) groupIn(t *testing.T, vpc, name string) string {
	t.Helper()
	out, err := w.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: &name, Description: aws.String(name + " of a test"), VpcId: &vpc,
	})
	check(t, err)
	return aws.ToString(out.GroupId)
}

// group makes a fresh group in the VPC that is not the default one.
func (w *world) group(t *testing.T) string {
	t.Helper()
	w.groups++
	return w.groupIn(t, w.vpc, fmt.Sprintf("group-%d", w.groups))
}

// ssh is tcp port 22 from a CIDR.
func ssh(cidr, description string) types.IpPermission { return tcp(22, cidr, description) }

func tcp(port int32, cidr, description string) types.IpPermission {
	p := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port}
	var d *string
	if description != "" {
		d = &description
	}
	if strings.Contains(cidr, ":") {
		p.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: &cidr, Description: d}}
	} else {
		p.IpRanges = []types.IpRange{{CidrIp: &cidr, Description: d}}
	}
	return p
}

// tagsOf makes tags from keys and values in turn.
func tagsOf(kv ...string) []types.Tag {
	var out []types.Tag
	for pair := range slices.Chunk(kv, 2) {
		out = append(out, types.Tag{Key: &pair[0], Value: &pair[1]})
	}
	return out
}

func tagSpec(kv ...string) []types.TagSpecification {
	if len(kv) == 0 {
		return nil
	}
	return []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroupRule, Tags: tagsOf(kv...)}}
}

func (w *world) tryAuthorize(t *testing.T, group string, p types.IpPermission, kv ...string) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	return w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &group, IpPermissions: []types.IpPermission{p}, TagSpecifications: tagSpec(kv...),
	})
}

// authorize adds one rule and returns it as the call answered.
func (w *world) authorize(t *testing.T, group string, p types.IpPermission, kv ...string) types.SecurityGroupRule {
	t.Helper()
	out, err := w.tryAuthorize(t, group, p, kv...)
	check(t, err)
	if len(out.SecurityGroupRules) != 1 || !aws.ToBool(out.Return) {
		t.Fatalf("Authorize answered %d rules, Return %v; want 1, true", len(out.SecurityGroupRules), aws.ToBool(out.Return))
	}
	return out.SecurityGroupRules[0]
}

// rules returns the ingress rules of a group.
func (w *world) rules(t *testing.T, group string, more ...types.Filter) []types.SecurityGroupRule {
	t.Helper()
	out, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{
		Filters: append([]types.Filter{filter("group-id", group)}, more...),
	})
	check(t, err)
	return slices.DeleteFunc(out.SecurityGroupRules, func(r types.SecurityGroupRule) bool { return aws.ToBool(r.IsEgress) })
}

// rule returns one rule by its id.
func (w *world) rule(t *testing.T, id *string) types.SecurityGroupRule {
	t.Helper()
	out, err := w.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{*id}})
	check(t, err)
	if len(out.SecurityGroupRules) != 1 {
		t.Fatalf("there are %d rules %s", len(out.SecurityGroupRules), *id)
	}
	return out.SecurityGroupRules[0]
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

func tagMap(tags []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode fails unless err is an API error with one of the codes.
func wantCode(t *testing.T, err error, codes ...string) {
	t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || !slices.Contains(codes, api.ErrorCode()) {
		t.Fatalf("got %v, want the error %s", err, strings.Join(codes, " or "))
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// simMaker seeds awssim through Go.
type simMaker struct{ sim *awssim.Sim }

func (m simMaker) vpcs(_ *testing.T, _ *world) (vpc, subnet, defaultVPC string) {
	vpc = m.sim.AddVPC(false)
	return vpc, m.sim.AddSubnet(vpc, true), m.sim.AddVPC(true)
}

func (m simMaker) newCluster(_ *testing.T, w *world, name string, cores int) string {
	nodes := []awssim.NodeSpec{{Role: "MASTER", PublicIP: "203.0.113.10", Console: "ec2: booted\n"}}
	for i := range cores {
		nodes = append(nodes, awssim.NodeSpec{Role: "CORE", PublicIP: fmt.Sprintf("203.0.113.%d", 11+i)})
	}
	return m.sim.AddCluster(awssim.ClusterSpec{
		Name: name, Release: "emr-7.5.0", KeyName: "team", Subnet: w.subnet, MasterGroup: w.master, CoreGroup: w.core,
		AdditionalMaster: []string{w.additional}, Tags: map[string]string{"team": "data"}, Nodes: nodes,
	})
}

func (m simMaker) terminate(_ *testing.T, _ *world, cluster string) {
	m.sim.SetClusterState(cluster, "TERMINATED")
}

func (m simMaker) newKeyPair(_ *testing.T, _ *world, name, public string) {
	m.sim.AddKeyPair(name, public)
}

func (m simMaker) newPrefixList(_ *testing.T, _ *world, name, cidr, description string) string {
	return m.sim.AddPrefixList(awssim.PrefixListSpec{Name: name, MaxEntries: 5, Entries: map[string]string{cidr: description}})
}
