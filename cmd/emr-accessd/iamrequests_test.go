package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

// iamRequest is what IAM is asked about one resource of one call.
type iamRequest struct {
	Principal string         `json:"principal"`
	Action    string         `json:"action"`
	Resource  string         `json:"resource"`
	Account   string         `json:"account"`
	Context   map[string]any `json:"context"`
}

// iamRecorder stands before a simulated AWS and notes what IAM would be asked about each call, with the tags that
// the rules have at that moment.
type iamRecorder struct {
	w     *simWorld
	users map[string]string // access key to aws:userid

	mu   sync.Mutex
	seen []iamRequest
}

const simAccount = "123456789012"

func (r *iamRecorder) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	in.Body = io.NopCloser(bytes.NewReader(body))
	_, rest, _ := strings.Cut(in.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	reqs := r.translate(in.Header.Get("X-Amz-Target"), string(body), r.users[key])
	r.mu.Lock()
	r.seen = append(r.seen, reqs...)
	r.mu.Unlock()
	r.w.sim.ServeHTTP(out, in)
}

func (r *iamRecorder) requests() []iamRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// arnOf is a resource of the simulated account.
func arnOf(service, resource string) string {
	return "arn:aws:" + service + ":eu-west-1:" + simAccount + ":" + resource
}

// ask is a request with what every request has in its context.
func ask(user, action, resource string, context map[string]any) iamRequest {
	c := map[string]any{"aws:RequestedRegion": "eu-west-1", "aws:userid": user}
	maps.Copy(c, context)
	return iamRequest{Principal: "arn:aws:iam::" + simAccount + ":user/somebody", Action: action, Resource: resource, Account: simAccount, Context: c}
}

// translate tells the resources and context keys of a call (Service Authorization Reference, EC2 and EMR).
func (r *iamRecorder) translate(target, body, user string) []iamRequest {
	if target != "" {
		_, op, _ := strings.Cut(target, ".")
		var in struct{ ClusterID string }
		_ = json.Unmarshal([]byte(body), &in)
		resource := "*"
		if in.ClusterID != "" {
			resource = arnOf("elasticmapreduce", "cluster/"+in.ClusterID)
		}
		return []iamRequest{ask(user, "elasticmapreduce:"+op, resource, nil)}
	}
	form, _ := url.ParseQuery(body)
	op := form.Get("Action")
	action := "ec2:" + op
	group := arnOf("ec2", "security-group/"+form.Get("GroupId"))
	switch op {
	case "GetCallerIdentity":
		return nil // needs no permission
	case "AuthorizeSecurityGroupIngress":
		out := []iamRequest{ask(user, action, group, nil)}
		if tags := formTags(form, "TagSpecification.1.Tag"); len(tags) > 0 {
			out = append(out, ask(user, action, arnOf("ec2", "security-group-rule/*"), requestTags(tags, nil)),
				ask(user, "ec2:CreateTags", arnOf("ec2", "security-group-rule/*"), requestTags(tags, map[string]any{"ec2:CreateAction": op})))
		}
		return out
	case "ModifySecurityGroupRules":
		id := form.Get("SecurityGroupRule.1.SecurityGroupRuleId")
		return []iamRequest{ask(user, action, group, nil), ask(user, action, arnOf("ec2", "security-group-rule/"+id), r.ruleTags(id))}
	case "RevokeSecurityGroupIngress":
		return []iamRequest{ask(user, action, group, nil)}
	case "CreateTags", "DeleteTags":
		id := form.Get("ResourceId.1")
		return []iamRequest{ask(user, action, arnOf("ec2", "security-group-rule/"+id), requestTags(formTags(form, "Tag"), r.ruleTags(id)))}
	case "GetManagedPrefixListEntries":
		return []iamRequest{ask(user, action, arnOf("ec2", "prefix-list/"+form.Get("PrefixListId")), nil)}
	case "GetConsoleOutput":
		return []iamRequest{ask(user, action, arnOf("ec2", "instance/"+form.Get("InstanceId")),
			map[string]any{"aws:ResourceTag/aws:elasticmapreduce:job-flow-id": r.w.cluster})}
	}
	return []iamRequest{ask(user, action, "*", nil)}
}

func formTags(form url.Values, list string) map[string]string {
	tags := map[string]string{}
	for i := 1; form.Has(fmt.Sprintf("%s.%d.Key", list, i)); i++ {
		tags[form.Get(fmt.Sprintf("%s.%d.Key", list, i))] = form.Get(fmt.Sprintf("%s.%d.Value", list, i))
	}
	return tags
}

// requestTags is the context of a request that carries tags.
func requestTags(tags map[string]string, more map[string]any) map[string]any {
	c := map[string]any{}
	maps.Copy(c, more)
	for k, v := range tags {
		c["aws:RequestTag/"+k] = v
	}
	if len(tags) > 0 {
		c["aws:TagKeys"] = slices.Sorted(maps.Keys(tags))
	}
	return c
}

// ruleTags is the context of a request about a rule, by its tags now.
func (r *iamRecorder) ruleTags(id string) map[string]any {
	c := map[string]any{}
	i := slices.IndexFunc(r.w.sim.Rules(r.w.master), func(o awssim.Rule) bool { return o.ID == id })
	if i >= 0 {
		for k, v := range r.w.sim.Rules(r.w.master)[i].Tags {
			c["aws:ResourceTag/"+k] = v
		}
	}
	return c
}

// iamResult is the simulator's answer to a request.
type iamResult struct {
	Result  string   `json:"result"`
	Ignored []string `json:"ignored"`
	Detail  string   `json:"detail"`
}

// simulateIAM evaluates requests against a policy with an IAM simulator by other people.
func simulateIAM(t *testing.T, policy json.RawMessage, requests []iamRequest) []iamResult {
	t.Helper()
	dir := filepath.Join("..", "..", ".ci", "iam")
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		mototest.Need(t, "the IAM simulator (Node.js, and: npm ci --prefix .ci/iam)", err)
	}
	in, err := json.Marshal(map[string]any{"policy": policy, "requests": requests})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(dir, "simulate.mjs"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var out []iamResult
	if err := json.Unmarshal(text, &out); err != nil || len(out) != len(requests) {
		t.Fatalf("%d answers to %d requests: %v\n%s", len(out), len(requests), err, text)
	}
	return out
}
