package config_test

import (
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

// Whatever the file says: an answer, never a panic, and an accepted one keeps its promises.
func FuzzParse(f *testing.F) {
	design, err := os.ReadFile("testdata/design.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(design), "", "[[target]]\nname='x'\nnodes=['slave']\ntrusted=['10.1.0.0/16','::/128']",
		"target=[{cluster='j-2AXXXXXXGAPLF', tags={a='b'}}, 3]", "[address]\nipv4='::1'\naccept=['0.0.0.0/0']", "\"\\u0000\"=1",
		"[[address.source]]\nurl='https://[::1]:1/'\noperator='aws'", "[rules]\nlease='9223372036854775807ns'", "a.b.c=[[[{d={}}]]]",
		"a" + strings.Repeat(".a", 2000) + "=" + strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse(data, "c.toml")
		if err != nil {
			for _, e := range problems(t, err) {
				if e.Problem == "" || strings.ContainsAny(e.Error()+e.Hint, "\n\x1b") {
					t.Errorf("%q: error %q, hint %q", data, e.Error(), e.Hint)
				}
				if e.Line < 0 || e.Line > strings.Count(string(data), "\n")+1 || e.Column < 0 || e.Column > len(data)+1 {
					t.Errorf("%q: no such place: %v", data, e)
				}
			}
			return
		}
		holds(t, c)
	})
}

// holds states what the rest of the program relies on.
func holds(t interface{ Errorf(string, ...any) }, c config.Config) {
	if err := c.Check(); err != nil {
		t.Errorf("accepted, and then not: %v", err)
	}
	for _, target := range c.Targets {
		for _, p := range target.Trusted {
			if p != p.Masked() || p.Addr().Is4() && p.Bits() < 16 || p.Addr().Is6() && p.Bits() < 32 {
				t.Errorf("trusted %s", p)
			}
		}
		if target.Cluster == "" && target.Name == "" && len(target.Tags) == 0 && target.SecurityGroup == "" {
			t.Errorf("a target that selects nothing: %+v", target)
		}
		if target.SecurityGroup == "" && len(target.Nodes) == 0 || target.Port < 1 || target.Port > 65535 {
			t.Errorf("target %+v", target)
		}
	}
	for _, s := range c.Address.Sources {
		if !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(strings.ToLower(s.URL), "https://") || strings.Contains(s.URL, "@") {
			t.Errorf("source %q", s.URL)
		}
	}
	if c.Address.Agree < 1 || c.Address.Agree > len(c.Address.Operators()) || c.Rules.Lease <= 0 || c.Address.Interval <= 0 {
		t.Errorf("%+v", c)
	}
}

// Files put together from right and wrong lines, which bytes at random hardly ever are.
func TestParseLines(t *testing.T) {
	lines := map[string][]string{
		"[[target]]": {
			"cluster = 'j-2AXXXXXXGAPLF'", "name = 'a*'", "tags = { a = 'b' }", "security-group = 'sg-0a1b2c3d'", "port = 22", "port = -1",
			"nodes = ['primary','core']", "nodes = ['slave','core']", "group = 'additional'", "trusted = ['10.1.0.0/16']",
			"trusted = ['10.1.0.1/16', '0.0.0.0/0']", "account = '123456789012'", "address = 'local'", "colour = 'red'",
		},
		"[address]": {
			"ipv4 = '203.0.113.7'", "ipv6 = 'off'", "agree = 1", "agree = 3", "require = ''", "never = ['10.0.0.0/8']", "stun = []",
			"interval = '1h'", "interval = '0s'",
		},
		"[[address.source]]": {
			"url = 'https://a.example/'", "url = 'http://a.example/'", "operator = 'aws'", "operator = 'b'", "format = 'trace'", "ca-file = 'x'",
		},
		"[rules]": {"lease = '1h'", "lease = '1m'", "expired = 'report'", "probe = false", "tags = { a = '' }"},
	}
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for _, header := range []string{"[[target]]", "[[target]]", "[address]", "[[address.source]]", "[[address.source]]", "[rules]"} {
			if !rapid.Bool().Draw(t, header) {
				continue
			}
			b.WriteString(header + "\n")
			used := map[string]bool{}
			for _, line := range rapid.SliceOfN(rapid.SampledFrom(lines[header]), 0, 4).Draw(t, "lines") {
				key, _, _ := strings.Cut(line, " ")
				if !used[key] {
					b.WriteString(line + "\n")
				}
				used[key] = true
			}
		}
		c, err := config.Parse([]byte(b.String()), "c.toml")
		if err == nil {
			accepted++
			holds(t, c)
		}
	})
	if accepted == 0 {
		t.Error("no file was accepted: the property saw nothing")
	}
}
