package demo_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/demo"
)

// miniAWS is the least client that the miniature needs.
type miniAWS struct {
	endpoint, key, region string
	cluster, group        string
	user                  string // aws:userid
}

func openMiniAWS(ctx context.Context, cluster string) (*miniAWS, error) {
	a := &miniAWS{endpoint: os.Getenv("AWS_ENDPOINT_URL"), key: os.Getenv("AWS_ACCESS_KEY_ID"), region: os.Getenv("AWS_REGION"), cluster: cluster}
	var who struct {
		User string `xml:"GetCallerIdentityResult>UserId"`
	}
	if err := a.query(ctx, "sts", "2011-06-15", url.Values{"Action": {"GetCallerIdentity"}}, &who); err != nil {
		return nil, err
	}
	a.user = who.User
	var d struct {
		Cluster struct {
			Ec2InstanceAttributes struct{ EmrManagedMasterSecurityGroup string }
		}
	}
	if err := a.emr(ctx, "DescribeCluster", map[string]any{"ClusterId": cluster}, &d); err != nil {
		return nil, err
	}
	a.group = d.Cluster.Ec2InstanceAttributes.EmrManagedMasterSecurityGroup
	return a, nil
}

func (a *miniAWS) send(ctx context.Context, service, contentType, target, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+a.key+"/20261122/"+a.region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, answer)
	}
	return answer, err
}

func (a *miniAWS) query(ctx context.Context, service, version string, v url.Values, out any) error {
	v.Set("Version", version)
	answer, err := a.send(ctx, service, "application/x-www-form-urlencoded", "", v.Encode())
	if err != nil || out == nil {
		return err
	}
	return xml.Unmarshal(answer, out)
}

// ec2 calls an action with pairs of names and values.
func (a *miniAWS) ec2(ctx context.Context, action string, out any, pairs ...string) error {
	v := url.Values{"Action": {action}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return a.query(ctx, "ec2", "2016-11-15", v, out)
}

func (a *miniAWS) emr(ctx context.Context, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := a.send(ctx, "elasticmapreduce", "application/x-amz-json-1.1", "ElasticMapReduce."+action, string(body))
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

func (a *miniAWS) rules(ctx context.Context) ([]demo.Rule, error) {
	return demo.Read(ctx, a.endpoint, a.group)
}

func (a *miniAWS) authorize(ctx context.Context, port int, cidr netip.Prefix, tag string) error {
	p := strconv.Itoa(port)
	return a.ec2(ctx, "AuthorizeSecurityGroupIngress", nil, "GroupId", a.group, "IpPermissions.1.IpProtocol", "tcp",
		"IpPermissions.1.FromPort", p, "IpPermissions.1.ToPort", p, "IpPermissions.1.IpRanges.1.CidrIp", cidr.String(),
		"TagSpecification.1.ResourceType", "security-group-rule", "TagSpecification.1.Tag.1.Key", tag, "TagSpecification.1.Tag.1.Value", "mini")
}

func (a *miniAWS) modify(ctx context.Context, id string, port int, cidr netip.Prefix) error {
	p := strconv.Itoa(port)
	return a.ec2(ctx, "ModifySecurityGroupRules", nil, "GroupId", a.group, "SecurityGroupRule.1.SecurityGroupRuleId", id,
		"SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp", "SecurityGroupRule.1.SecurityGroupRule.FromPort", p,
		"SecurityGroupRule.1.SecurityGroupRule.ToPort", p, "SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", cidr.String())
}

func (a *miniAWS) revoke(ctx context.Context, id string) error {
	return a.ec2(ctx, "RevokeSecurityGroupIngress", nil, "GroupId", a.group, "SecurityGroupRuleId.1", id)
}

func (a *miniAWS) tag(ctx context.Context, id, key string) error {
	return a.ec2(ctx, "CreateTags", nil, "ResourceId.1", id, "Tag.1.Key", key, "Tag.1.Value", "mini")
}

func (a *miniAWS) untag(ctx context.Context, id, key string) error {
	return a.ec2(ctx, "DeleteTags", nil, "ResourceId.1", id, "Tag.1.Key", key)
}

func (a *miniAWS) console(ctx context.Context, instance string) (string, error) {
	var out struct {
		Output string `xml:"output"`
	}
	if err := a.ec2(ctx, "GetConsoleOutput", &out, "InstanceId", instance); err != nil {
		return "", err
	}
	text, err := base64.StdEncoding.DecodeString(out.Output)
	return string(text), err
}

type miniNode struct{ instance, address string }

func (a *miniAWS) primary(ctx context.Context) (miniNode, error) {
	var out struct {
		Instances []struct{ Ec2InstanceID, PublicIPAddress string }
	}
	err := a.emr(ctx, "ListInstances", map[string]any{"ClusterId": a.cluster, "InstanceGroupTypes": []string{"MASTER"}}, &out)
	if err != nil {
		return miniNode{}, err
	}
	if len(out.Instances) != 1 {
		return miniNode{}, fmt.Errorf("%d primary nodes", len(out.Instances))
	}
	return miniNode{out.Instances[0].Ec2InstanceID, out.Instances[0].PublicIPAddress}, nil
}
