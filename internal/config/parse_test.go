package config_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

var comparers = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// The example of the design, with two changes that make it a file one can use: a second operator, since agree is 2
// and the example names one source, and a STUN server in place of the dots.
func TestDesignExample(t *testing.T) {
	data, err := os.ReadFile("testdata/design.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), `, "…"]`, `]`, 1)
	text = strings.Replace(text, "[rules]", "[[address.source]]\nurl = \"https://checkip.amazonaws.com/\"\noperator = \"aws\"\n[rules]", 1)
	got, err := config.Parse([]byte(text), "config.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Targets: []config.Target{{
			Cluster: "j-2AXXXXXXGAPLF", Profile: "work", Region: "eu-west-1", Account: "123456789012",
			Nodes: []string{"primary"}, Group: "managed", Port: 22,
			Trusted: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")},
		}},
		Address: config.Address{
			IPv4: config.Mode{Kind: config.Auto}, IPv6: config.Mode{Kind: config.Auto},
			STUN: []string{"host:3478"}, Interval: 30 * time.Second, EgressCheck: true, Agree: 2, Require: "aws", IPv6Prefix: 128,
			Sources: []config.Source{
				{URL: "https://ip.example.org/", Operator: "example", Format: "text"},
				{URL: "https://checkip.amazonaws.com/", Operator: "aws", Format: "text"},
			},
		},
		Rules:  config.Rules{Lease: 24 * time.Hour, Expired: "remove", Probe: true, Tags: map[string]string{}},
		Notify: config.Notify{Desktop: true},
	}
	if diff := cmp.Diff(want, got, comparers); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// As it stands in the design, the example has exactly the two mistakes that the test above repairs.
func TestDesignExampleAsItStands(t *testing.T) {
	data, err := os.ReadFile("testdata/design.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Parse(data, "config.toml")
	var keys []string
	for _, e := range problems(t, err) {
		keys = append(keys, e.Key)
	}
	if diff := cmp.Diff([]string{"address.stun", "address.agree", "address.require"}, keys); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEmptyIsDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "[address]\n[rules]\n", "target = []\n"} {
		got, err := config.Parse([]byte(text), "config.toml")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(config.Default(), got, comparers); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
	if err := config.Default().Check(); err != nil {
		t.Errorf("Default does not pass its own checks: %v", err)
	}
}

// Default hands out fresh values: changing one must not change the next.
func TestDefaultIsFresh(t *testing.T) {
	a := config.Default()
	a.Address.STUN[0] = "changed"
	config.DefaultTarget().Nodes[0] = "changed"
	if config.Default().Address.STUN[0] == "changed" || config.DefaultTarget().Nodes[0] == "changed" {
		t.Error("two defaults share memory")
	}
}

func TestNormalised(t *testing.T) {
	got, err := config.Parse([]byte(`
[[target]]
name = "nightly-*"
tags = { team = "data", "cost centre" = "" }
nodes = ["master", "slave", "task"]
address = "public"
[[target]]
security-group = "sg-0a1b2c3d4e5f60718"
port = 8443
address = "local"
[address]
ipv4 = "203.0.113.7"
ipv6 = "off"
stun = []
`), "config.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Target{
		{
			Name: "nightly-*", Tags: map[string]string{"team": "data", "cost centre": ""},
			Nodes: []string{"primary", "core", "task"}, Group: "managed", Port: 22,
		},
		{SecurityGroup: "sg-0a1b2c3d4e5f60718", Port: 8443, Address: "local"},
	}
	if diff := cmp.Diff(want, got.Targets, comparers); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if a := got.Address; a.IPv4.String() != "203.0.113.7" || a.IPv4.Kind != config.Fixed || a.IPv6.Kind != config.Off || len(a.STUN) != 0 {
		t.Errorf("address = %+v", a)
	}
}

// Everything that is wrong is said at once, in the order of the file, and nothing twice: that the target with the
// misspelt cluster selects nothing goes without saying.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := config.Parse([]byte(`[[target]]
clustr = "j-2AXXXXXXGAPLF"
port = "22"
trusted = ["198.51.100.1/28", 3,
  "10.0.0.1"]
[address]
interval = "1s"
[rules]
expired = "never"
`), "/etc/x.toml")
	want := `/etc/x.toml:2:1: target.clustr: unknown key
/etc/x.toml:3:8: target.port: must be a whole number, not a text
/etc/x.toml:4:12: target.trusted: 198.51.100.1/28 does not begin at its own network
/etc/x.toml:4:31: target.trusted: must be a text in quotes, not a whole number
/etc/x.toml:5:3: target.trusted: "10.0.0.1" is an address, not a range
/etc/x.toml:7:12: address.interval: 1s is not between 5s and 1h
/etc/x.toml:9:11: rules.expired: "never" is neither remove nor report`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := len(problems(t, err)); got != 7 {
		t.Errorf("%d problems", got)
	}
	if e, ok := errors.AsType[*config.Error](err); !ok || e.Line != 2 {
		t.Errorf("errors.AsType finds %v", e)
	}
}

// Our places are go-toml's: for every key of the example, both say the same line and column.
func TestPlacesAgreeWithGoTOML(t *testing.T) {
	data, err := os.ReadFile("testdata/design.toml")
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, "\r\n\t[[address.source]]\r\n  url = \"é\" # é\n[address.other.\"a b\"]\nx.y = 1\n"...)
	ours := config.Locate(data)
	var empty struct {
		Target  []struct{}
		Address struct {
			Source []struct{}
			Other  struct {
				AB struct{} `toml:"a b"`
			}
		}
		Rules struct{}
	}
	err = toml.NewDecoder(strings.NewReader(string(data))).DisallowUnknownFields().Decode(&empty)
	missing, ok := errors.AsType[*toml.StrictMissingError](err)
	if !ok || len(missing.Errors) < 25 {
		t.Fatalf("go-toml reports %v", err)
	}
	places := map[[2]int]bool{}
	for _, at := range ours {
		places[at] = true
	}
	for _, e := range missing.Errors {
		line, column := e.Position()
		if !places[[2]int{line, column}] {
			t.Errorf("%v at %d:%d: not among ours", e.Key(), line, column)
		}
	}
	for path, want := range map[string][2]int{
		"target": {1, 3}, "target[0]": {1, 3}, "address.source[0].url": {23, 1}, "address.source[1].url": {35, 3},
		`address.other."a b".x.y`: {37, 3},
	} {
		if ours[path] != want {
			t.Errorf("%s is at %v, want %v", path, ours[path], want)
		}
	}
}

func problems(t *testing.T, err error) config.Errors {
	t.Helper()
	found, ok := errors.AsType[config.Errors](err)
	if !ok {
		t.Fatalf("not config.Errors but %T: %v", err, err)
	}
	return found
}
