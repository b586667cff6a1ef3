package iampolicy_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/iampolicy"
	"github.com/google/go-cmp/cmp"
)

var office = iampolicy.Place{Account: "123456789012", Region: "eu-west-1", Groups: []string{"sg-0a"}, Clusters: []string{"j-1"}}

func policy(features []iampolicy.Feature, places ...iampolicy.Place) iampolicy.Document {
	return iampolicy.Policy(iampolicy.Need{Places: places, Features: features})
}

func sids(d iampolicy.Document) string {
	var out []string
	for _, s := range d.Statement {
		out = append(out, s.Sid)
	}
	return strings.Join(out, " ")
}

func statement(t *testing.T, d iampolicy.Document, sid string) iampolicy.Statement {
	t.Helper()
	for _, s := range d.Statement {
		if s.Sid == sid {
			return s
		}
	}
	t.Fatalf("there is no statement %s, only %s", sid, sids(d))
	return iampolicy.Statement{}
}

func TestFeatures(t *testing.T) {
	for _, tt := range []struct {
		features, want string
	}{
		{"rules", "Look LookAtClusters ChangeRulesOfGroups AddRulesAsOwner TagRulesAtCreation MoveOwnRules LeaseRules"},
		{"rules connect", "Look LookAtClusters ChangeRulesOfGroups AddRulesAsOwner TagRulesAtCreation MoveOwnRules LeaseRules ReadHostKeys"},
		{"sweep", "Look LookAtClusters RemoveRulesOfGroups PurgeLeases"},
		{"audit", "Look LookAtClusters ReadPrefixLists"},
		{"clusters", "Look LookAtClusters"},
		{"doctor", "Look LookAtClusters"},
	} {
		fs, err := iampolicy.ParseFeatures(strings.Fields(tt.features))
		if err != nil {
			t.Fatal(err)
		}
		if got := sids(policy(fs, office)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.features, got, tt.want)
		}
	}
	if _, err := iampolicy.ParseFeatures([]string{"rules", "root"}); err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("an unknown feature: %v", err)
	}
}

// What is not known becomes a wildcard in its own part of the ARN, and never in the partition: IAM allows none there.
func TestPlaces(t *testing.T) {
	rules := []iampolicy.Feature{iampolicy.Rules}
	for _, tt := range []struct {
		name   string
		places []iampolicy.Place
		groups []string
	}{
		{"known", []iampolicy.Place{office}, []string{"arn:aws:ec2:eu-west-1:123456789012:security-group/sg-0a"}},
		{"nothing known", []iampolicy.Place{{}}, []string{"arn:aws:ec2:*:*:security-group/*"}},
		{"China", []iampolicy.Place{{Region: "cn-north-1"}}, []string{"arn:aws-cn:ec2:cn-north-1:*:security-group/*"}},
		{"GovCloud", []iampolicy.Place{{Region: "us-gov-east-1"}}, []string{"arn:aws-us-gov:ec2:us-gov-east-1:*:security-group/*"}},
		{"ISO", []iampolicy.Place{{Region: "us-iso-east-1"}, {Region: "us-isob-east-1"}}, []string{"arn:aws-iso-b:ec2:us-isob-east-1:*:security-group/*", "arn:aws-iso:ec2:us-iso-east-1:*:security-group/*"}},
		{"two accounts", []iampolicy.Place{office, {Account: "210987654321", Region: "us-east-1", Groups: []string{"sg-0c", "sg-0b"}}}, []string{
			"arn:aws:ec2:eu-west-1:123456789012:security-group/sg-0a", "arn:aws:ec2:us-east-1:210987654321:security-group/sg-0b", "arn:aws:ec2:us-east-1:210987654321:security-group/sg-0c"}},
	} {
		if diff := cmp.Diff(tt.groups, statement(t, policy(rules, tt.places...), "ChangeRulesOfGroups").Resource); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if look := statement(t, policy(rules, office, iampolicy.Place{}), "Look"); look.Condition != nil {
		t.Errorf("a region is not known, and yet the reads are limited to %v", look.Condition)
	}
	listed := office
	listed.Listed, listed.Clusters = true, nil
	d := policy(rules, listed)
	if got := statement(t, d, "LookAtClusters").Resource; !slices.Equal(got, []string{"arn:aws:elasticmapreduce:eu-west-1:123456789012:cluster/*"}) || !slices.Contains(d.Actions(), "elasticmapreduce:ListClusters") {
		t.Errorf("clusters by name: %v, %v", got, d.Actions())
	}
	plain := iampolicy.Place{Account: "123456789012", Region: "eu-west-1", Groups: []string{"sg-0a"}, Plain: true}
	want := []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteTags", "ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups",
		"ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroupIngress"}
	if diff := cmp.Diff(want, policy(rules, plain).Actions()); diff != "" {
		t.Errorf("a plain group: %s", diff)
	}
}

// A tag of the configuration is a word, no pattern and no variable.
func TestTagKeysAreLiteral(t *testing.T) {
	d := iampolicy.Policy(iampolicy.Need{Places: []iampolicy.Place{office}, Features: iampolicy.Features(), TagKeys: []string{"Cost*", "a?b", "${aws:userid}"}})
	got := statement(t, d, "AddRulesAsOwner").Condition["ForAllValues:StringLike"]["aws:TagKeys"][2:]
	if diff := cmp.Diff([]string{"Cost${*}", "a${?}b", "${$}{aws:userid}"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSize(t *testing.T) {
	d := policy(iampolicy.Features(), office)
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Size(); got != len(text) || got > iampolicy.MaxSize {
		t.Errorf("%d characters of %d", got, len(text))
	}
}

// TestEveryCallIsCovered reads which operations the program calls, and compares them with the policy that has
// everything: neither may have what the other has not.
func TestEveryCallIsCovered(t *testing.T) {
	called := map[string]bool{}
	files, err := filepath.Glob("../awsclient/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if service, op := operation(call.Fun); op != "" && op != "Options" {
				called[service+":"+op] = true
			}
			return true
		})
	}
	if !called["sts:GetCallerIdentity"] {
		t.Fatal("the calls were not found in the source")
	}
	delete(called, "sts:GetCallerIdentity") // needs no permission
	place := office
	place.Listed, place.Plain = true, true
	all := policy(iampolicy.Features(), place).Actions()
	audit := policy([]iampolicy.Feature{iampolicy.Audit}, place).Actions()
	for _, op := range slices.Sorted(maps.Keys(called)) {
		if !slices.Contains(all, op) {
			t.Errorf("%s is called, and no policy allows it", op)
		}
	}
	for _, action := range all {
		if !called[action] && !slices.Contains(audit, action) {
			t.Errorf("%s is in the policy, and nothing calls it", action)
		}
	}
}

// operation recognises c.ec2.DescribeInstances and its like.
func operation(fun ast.Expr) (service, op string) {
	method, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	client, ok := method.X.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	prefix := map[string]string{"ec2": "ec2", "emr": "elasticmapreduce", "sts": "sts"}[client.Sel.Name]
	if prefix == "" {
		return "", ""
	}
	return prefix, method.Sel.Name
}
