package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

// Each file has exactly one mistake. "target." stands for a first line [[target]] and a second with a cluster,
// "address." and "rules." for the header of the table; the value is on the line after that.
func TestProblems(t *testing.T) {
	tests := []struct{ text, where, key, problem, hint string }{
		// What is no TOML, or not the right kind of TOML.
		{"a = [", "1:5", "", "array is incomplete", ""},
		{"[rules]\nprobe = true\nprobe = true", "3:1", "probe", "already", ""},
		{"\xff = 1", "1:1", "", "", ""},
		{"address = 3", "1:11", "address", "must be a table, [address], not a whole number", ""},
		{"[target]\ncluster = 'j-2AXXXXXXGAPLF'", "1:2", "target", "must be a list of tables, each under [[target]], not a table", ""},
		{"target = [1]", "1:11", "target", "must be a table, not a whole number", ""},
		{"source.url = 'https://a.example/'\n[address.source.x]", "7:17", "address.source.x", "unknown key", ""},

		// Unknown keys and what they may have been meant for.
		{"[address]\negress_check = true", "2:1", "address.egress_check", "unknown key", "did you mean egress-check?"},
		{"[Address]\n", "1:2", "Address", "unknown key", "did you mean address?"},
		{"[rules]\ntrusted = []", "2:1", "rules.trusted", "unknown key", "trusted belongs into [[target]]"},
		{"lease = '1h'", "1:1", "lease", "unknown key", "lease belongs into [rules]"},
		{"[rules]\ncolour = 1", "2:1", "rules.colour", "unknown key", "the keys here are lease, expired, probe, tags"},
		{"source.url = 'https://a.example/'\nuxx = 1", "7:1", "address.source.uxx", "unknown key", "the keys here are url, "}, // two edits of three letters are no misspelling
		{"[rules]\n\"a\\u001b[31m\" = 1", "2:1", `rules."a\x1b[31m"`, "unknown key", ""},

		// Wrong types.
		{"target.port = '22'", "3:8", "target.port", "must be a whole number, not a text", ""},
		{"target.port = 22.0", "3:8", "target.port", "must be a whole number, not a number with a fraction", ""},
		{"target.name = 2026-11-22", "3:8", "target.name", "not a date or time", ""},
		{"target.nodes = 'primary'", "3:9", "target.nodes", "must be a list of texts, not a text", ""},
		{"[[target]]\ntags = ['a']", "2:1", "target.tags", "must be a table of texts", ""},
		{"[[target]]\ntags = { a = true }", "2:14", "target.tags.a", "must be a text in quotes, not true or false", ""},
		{"address.egress-check = 'yes'", "2:16", "address.egress-check", "must be true or false, not a text", ""},
		{"address.interval = 30", "2:12", "address.interval", "must be a duration in quotes", ""},
		{"address.interval = '30'", "2:12", "address.interval", `"30" is not a duration`, "write a number and a unit"},

		// Which target.
		{"[[target]]\nport = 22", "1:3", "target", "selects nothing", "set one of cluster"},
		{"target.name = 'x'", "1:3", "target", "selects in more than one way", "keep one of"},
		{"target.security-group = 'sg-0a1b2c3d'", "1:3", "target", "selects in more than one way", "keep one of"},
		{"[[target]]\ncluster = 'j-abcdefgh12'", "2:11", "target.cluster", `"j-abcdefgh12" is not a cluster id`, "did you mean j-ABCDEFGH12?"},
		{"[[target]]\ncluster = 'nightly'", "2:11", "target.cluster", "is not a cluster id", "list-clusters"},
		{"[[target]]\nsecurity-group = 'ElasticMapReduce-master'", "2:18", "target.security-group", "is not a security group id", "by their id"},
		{"[[target]]\nname = \"a\\nb\"", "2:8", "target.name", `"a\nb" has control characters`, ""},
		{"[[target]]\nname = \"a\u202eb\"", "2:8", "target.name", "has control characters", ""},
		{"[[target]]\ntags = { \"\" = 'x' }", "2:15", `target.tags.""`, "is not a tag key", ""},
		{"target.profile = \"w\\u0007\"", "3:11", "target.profile", "has control characters", ""},
		{"target.region = 'eu-west-1.evil.example/'", "3:10", "target.region", "is not a region", ""},
		{"target.account = '12345678901'", "3:11", "target.account", "is not an account id", "12 digits"},
		{"target.account = 123456789012", "3:11", "target.account", "must be a text in quotes", ""},
		{"target.nodes = []", "3:1", "target.nodes", "names no node", `nodes = ["primary"]`},
		{"target.nodes = ['primary', 'edge']", "3:21", "target.nodes", `"edge" is none of primary, core and task`, ""},
		{"target.nodes = ['primary', 'master']", "3:21", "target.nodes", "primary is there twice", ""},
		{"target.group = 'mine'", "3:9", "target.group", `"mine" is neither managed nor additional`, ""},
		{"target.port = 0", "3:8", "target.port", "0 is not a port", ""},
		{"target.port = 65536", "3:8", "target.port", "65536 is not a port", ""},
		{"target.address = '10.0.0.1'", "3:11", "target.address", "neither public nor local", "[address]"},
		{"[[target]]\nsecurity-group = 'sg-0a1b2c3d'\nnodes = ['core']", "3:1", "target.nodes", "means nothing", "remove it"},
		{"[[target]]\nsecurity-group = 'sg-0a1b2c3d'\ngroup = 'managed'", "3:9", "target.group", "means nothing", "remove it"},
		{
			"[[target]]\ncluster = 'j-2AXXXXXXGAPLF'\n[[target]]\ncluster = 'j-2AXXXXXXGAPLF'\ntrusted = ['10.0.0.0/24']", "3:3", "target",
			"is the same target as number 1", "into one",
		},

		// Trusted ranges.
		{"target.trusted = ['198.51.100.1/28']", "3:12", "target.trusted", "does not begin at its own network", `"198.51.100.0/28" for the range, or "198.51.100.1/32"`},
		{"target.trusted = ['2001:db8::1/64']", "3:12", "target.trusted", "does not begin at its own network", `"2001:db8::/64"`},
		{"target.trusted = ['198.51.100.7']", "3:12", "target.trusted", "is an address, not a range", `"198.51.100.7/32"`},
		{"target.trusted = ['office']", "3:12", "target.trusted", `"office" is not an address range`, "198.51.100.0/28"},
		{"target.trusted = ['198.51.100.0/33']", "3:12", "target.trusted", "is not an address range", ""},
		{"target.trusted = ['198.51.100.00/28']", "3:12", "target.trusted", "is not an address range", ""},
		{"target.trusted = ['::ffff:198.51.100.0/120']", "3:12", "target.trusted", "IPv6 clothes", "as IPv4"},
		{"target.trusted = ['0.0.0.0/0']", "3:12", "target.trusted", "0.0.0.0/0 is wider than /16", "really use"},
		{"target.trusted = ['10.0.0.0/15']", "3:12", "target.trusted", "wider than /16", ""},
		{"target.trusted = ['::/0']", "3:12", "target.trusted", "wider than /32", ""},
		{"target.trusted = ['2001:c00::/31']", "3:12", "target.trusted", "wider than /32", ""},
		{"target.trusted = ['10.1.0.0/16', '10.1.0.0/16']", "3:27", "target.trusted", "is there twice", ""},
		{"target.trusted = ['10.1.0.0/16']\n[address]\nnever = ['10.1.2.0/24']", "3:12", "target.trusted", "overlaps address.never", "one of the two"},

		// The own address.
		{"address.ipv4 = 'automatic'", "2:8", "address.ipv4", "is none of auto, off, local or an address", ""},
		{"address.ipv4 = '2001:db8::1'", "2:8", "address.ipv4", "is of the other family", ""},
		{"address.ipv6 = '203.0.113.7'", "2:8", "address.ipv6", "is of the other family", ""},
		{"address.ipv6 = '::ffff:203.0.113.7'", "2:8", "address.ipv6", "is of the other family", ""},
		{"address.ipv4 = '0.0.0.0'", "2:8", "address.ipv4", "is not an address that a cluster can see", ""},
		{"address.ipv6 = 'fe80::1%eth0'", "2:8", "address.ipv6", "is not an address that a cluster can see", ""},
		{"address.ipv4 = '203.0.113.7'\nnever = ['203.0.113.0/24']", "2:8", "address.ipv4", "is in address.never", ""},
		{"address.ipv4 = 'off'\nipv6 = 'off'", "3:8", "address.ipv6", "no address left", ""},
		{"address.accept = ['0.0.0.0/0']", "2:11", "address.accept", "would accept every address", "your lab"},
		{"address.never = ['203.0.113.7/24']", "2:10", "address.never", "does not begin", ""},
		{"address.only = ['x']", "2:9", "address.only", "is not an address range", ""},
		{"address.stun = ['stun.example.org']", "2:9", "address.stun", "is not host:port", "3478"},
		{"address.stun = ['stun.example.org:0']", "2:9", "address.stun", "is not host:port", ""},
		{"address.stun = ['a b:3478']", "2:9", "address.stun", "is not host:port", ""},
		{"address.stun = ['h:1', 'h:1']", "2:16", "address.stun", "is there twice", ""},
		{"address.stun = ['h.example:1', 'H.example.:01']", "2:24", "address.stun", "is there twice", ""},
		{"address.stun = ['[2001:db8::1]:1', '[2001:DB8:0::1]:1']", "2:28", "address.stun", "is there twice", ""},
		{"address.stun = ['stun:stun.example.org:3478']", "2:9", "address.stun", "is not host:port", `no "stun:"`},
		{"address.stun = ['2001:db8::1:3478']", "2:9", "address.stun", "is not host:port", ""},
		{"address.stun = ['[fe80::1%eth0]:3478']", "2:9", "address.stun", "is not host:port", ""},
		{"address.stun = ['h:65536']", "2:9", "address.stun", "is not host:port", ""},
		{"address.stun = ['h:-1']", "2:9", "address.stun", "is not host:port", ""},
		{"address.stun = [':3478']", "2:9", "address.stun", "is not host:port", ""},
		{"address.stun = ['0.0.0.0:3478']", "2:9", "address.stun", "not the address of a server", ""},
		{"address.stun = ['224.0.1.1:3478']", "2:9", "address.stun", "not the address of a server", ""},
		{"address.stun = ['[::ffff:255.255.255.255]:3478']", "2:9", "address.stun", "not the address of a server", ""},
		{"address.interval = '4.9s'", "2:12", "address.interval", "4.9s is not between 5s and 1h", ""},
		{"address.interval = '61m'", "2:12", "address.interval", "is not between", ""},
		{"address.ipv6-prefix = 56", "2:15", "address.ipv6-prefix", "56 is neither 128 nor 64", ""},
		{"address.agree = 0", "2:9", "address.agree", "0 is not between 1 and the number of operators, 3", "usual number is 2"},
		{"address.agree = 4", "2:9", "address.agree", "4 is not between 1 and the number of operators, 3", "another operator"},
		{"address.require = 'amazon'", "2:11", "address.require", `"amazon" is none of the operators aws, cloudflare, ipify`, `require = ""`},

		// Own sources, with the keys that make one source enough.
		{"source.url = 'http://ip.example.org/'", "6:7", "address.source.url", "is not https", "certificate"},
		{"source.url = 'https://u:secret@ip.example.org/'", "6:7", "address.source.url", "must not hold a user name or password", ""},
		{"source.url = 'https://u:%secret@ip.example.org/'", "6:7", "address.source.url", "must not hold a user name or password", ""},
		{"source.url = 'https://ip example.org/'", "6:7", "address.source.url", "is not a web address", ""},
		{"source.url = 'https://ip.example.org:70000/'", "6:7", "address.source.url", "is not a web address", ""},
		{"source.url = 'ip.example.org'", "6:7", "address.source.url", "is not a web address", ""},
		{"source.url = 'https://ip.example.org/#top'", "6:7", "address.source.url", "has a fragment", ""},
		{"source.format = 'text'", "4:11", "address.source.url", "is missing", ""},
		{"source.url = 'https://a.example/'\nformat = 'json'", "7:10", "address.source.format", `"json" is neither text nor trace`, ""},
		{"source.url = 'https://a.example/'\nca-file = '~/ca.pem'", "7:11", "address.source.ca-file", "~ is not resolved", "whole path"},
		{
			"source.url = 'https://a.example'\n[[address.source]]\nurl = 'https://A.example:443/'\noperator = 'b'", "8:7", "address.source.url",
			"is there twice", "",
		},
		{"source.url = 'https://a.example/'\n[[address.source]]\nurl = 'https://b.example/'", "7:11", "address.source.operator", "is not a name", "one vote"},

		// Rules.
		{"rules.lease = '9m59s'", "2:9", "rules.lease", "9m59s is not between 10m and 168h", ""},
		{"rules.lease = '169h'", "2:9", "rules.lease", "is not between", ""},
		{"rules.lease = '-24h'", "2:9", "rules.lease", "is not between", ""},
		{"rules.expired = 'keep'", "2:11", "rules.expired", "neither remove nor report", ""},
		{"rules.tags = { 'aws:x' = '1' }", "2:20", `rules.tags."aws:x"`, "not free to choose", ""},
		{"rules.tags = { Emr-Accessd-owner = '1' }", "2:30", "rules.tags.Emr-Accessd-owner", "not free to choose", ""},
		{"rules.tags = { a='',b='',c='',d='',e='',f='',g='',h='',i='',j='',k='' }", "2:8", "rules.tags", "11 tags are more than 10", "50"},
		{"rules.tags = { a = \"x\\ty\" }", "2:14", "rules.tags.a", "has control characters", ""},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.60q", test.text), func(t *testing.T) {
			_, err := config.Parse([]byte(file(test.text)), "c.toml")
			if err == nil {
				t.Fatal("accepted")
			}
			found := problems(t, err)
			if len(found) != 1 {
				t.Fatalf("%d problems:\n%v", len(found), err)
			}
			e := found[0]
			if got := fmt.Sprintf("%d:%d", e.Line, e.Column); got != test.where || e.File != "c.toml" {
				t.Errorf("at %s:%s, want c.toml:%s: %v", e.File, got, test.where, e)
			}
			if e.Key != test.key {
				t.Errorf("key %q, want %q", e.Key, test.key)
			}
			if !strings.Contains(e.Problem, test.problem) {
				t.Errorf("problem %q, want …%s…", e.Problem, test.problem)
			}
			if !strings.Contains(e.Hint, test.hint) {
				t.Errorf("hint %q, want …%s…", e.Hint, test.hint)
			}
			if strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\n\x1b\u202e") {
				t.Errorf("the error shows what it must not: %q", err)
			}
		})
	}
}

func file(text string) string {
	for short, long := range map[string]string{
		"target.":  "[[target]]\ncluster = 'j-2AXXXXXXGAPLF'\n",
		"address.": "[address]\n",
		"rules.":   "[rules]\n",
		"source.":  "[address]\nagree = 1\nrequire = ''\n[[address.source]]\noperator = 'own'\n",
	} {
		if rest, ok := strings.CutPrefix(text, short); ok {
			return long + rest
		}
	}
	return text
}

// The edges of what is allowed.
func TestAllowed(t *testing.T) {
	for _, text := range []string{
		"target.trusted = ['10.1.0.0/16', '127.0.0.0/16', '192.168.1.0/24', '2001:db8::/32', '203.0.113.7/32']",
		"target.port = 1",
		"target.port = 65535",
		"target.port = 8443\n[[target]]\ncluster = 'j-2AXXXXXXGAPLF'",
		"target.region = 'us-gov-west-1'",
		"target.account = '012345678901'",
		"[[target]]\ntags = { team = 'data' }",
		"[[target]]\nname = 'Übung *'",
		"address.interval = '5s'",
		"address.interval = '1h'",
		"address.agree = 3",
		"address.agree = 1\nrequire = ''",
		"address.accept = ['127.0.0.0/8']",
		"address.stun = ['[2001:db8::1]:3478', '192.0.2.1:3478']",
		"address.ipv4 = 'local'\nipv6 = '2001:db8::7'",
		"address.ipv6-prefix = 64",
		"rules.lease = '10m'",
		"rules.lease = '168h'",
		"rules.expired = 'report'\nprobe = false",
	} {
		if _, err := config.Parse([]byte(file(text)), "c.toml"); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// What flags have changed is checked without a file, and by the same rules.
func TestCheck(t *testing.T) {
	c := config.Default()
	target := config.DefaultTarget()
	target.Cluster = "j-nope"
	c.Targets = []config.Target{target, {}}
	c.Rules.Lease = time.Minute
	c.Address.IPv4 = config.Mode{}
	want := []string{"target.cluster", "target", "target.port", "target.nodes", "target.group", "address.ipv4", "rules.lease"}
	var got []string
	for _, e := range problems(t, c.Check()) {
		got = append(got, e.Key)
		if e.File != "" || e.Line != 0 {
			t.Errorf("%v claims a place", e)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}
}
