package awsclient_test

import (
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"plain":                     "plain",
		"  two\r\n\tlines  ":        "two lines",
		"esc\x1b[31m":               "esc[31m",
		"bidi\u202e\u2066\u200fx":   "bidix",
		"bad\xff\xfeutf8":           "badutf8",
		"nul\x00 \u0085c1\u009b":    "nul c1",
		"Zürich – 東京":               "Zürich – 東京",
		"line\u2028separator":       "line separator",
		strings.Repeat("x", 20):     strings.Repeat("x", 14) + "…",
		strings.Repeat("x y ", 20):  "x y x y x y x…",
		strings.Repeat("\u202e", 9): "",
	} {
		if got := awsclient.Clean(in, 15); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("You are not\nauthorized. \u202e\x1b[0m", 10)
	f.Add("\xff\x00", 1)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 1 || limit > 1000 {
			return
		}
		got := awsclient.Clean(s, limit)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > limit {
			t.Fatalf("Clean(%q, %d) = %q", s, limit, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("Clean(%q, %d) = %q holds %U", s, limit, got, r)
			}
		}
		if again := awsclient.Clean(got, limit); again != got && !strings.HasSuffix(got, "…") {
			t.Fatalf("not idempotent: %q, then %q", got, again)
		}
	})
}

// FuzzCIDR: a source is read as what it says, in canonical form, or not at all; never as something wider.
func FuzzCIDR(f *testing.F) {
	f.Add("0.0.0.0/1", "0")
	for _, s := range []string{"192.0.2.7/32", "192.0.2.77/24", "0.0.0.0/0", "2001:0DB8::2/64", "::/0", "::ffff:192.0.2.1/128", "192.0.2.7", "fe80::1%eth0/64", "", "1.2.3.4/033"} {
		f.Add(s, "")
		f.Add("", s)
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, v4, v6 string) {
		got := awsclient.CIDR(&v4, &v6)
		if got == (netip.Prefix{}) {
			if p, err := netip.ParsePrefix(v4); err == nil && p.Addr().Is4() && v6 == "" {
				t.Fatalf("%q was not read", v4)
			}
			return
		}
		only, is4 := v6, false
		if v6 == "" {
			only, is4 = v4, true
		}
		want, err := netip.ParsePrefix(only)
		if err != nil || v4 != "" && v6 != "" || want.Addr().Is4() != is4 || want.Bits() != got.Bits() || !got.Contains(want.Addr()) || got != got.Masked() || got.Addr().Is4In6() {
			t.Fatalf("CIDR(%q, %q) = %v", v4, v6, got)
		}
	})
}

// FuzzRules feeds answers of any form to the reading of rules.
func FuzzRules(f *testing.F) {
	staticKeys(f)
	f.Add("<DescribeSecurityGroupRulesResponse><securityGroupRuleSet><item><securityGroupRuleId>x</securityGroupRuleId></item></securityGroupRuleSet></DescribeSecurityGroupRulesResponse>")
	f.Add("<html>")
	f.Add("")
	f.Fuzz(func(t *testing.T, body string) {
		web := newCanned()
		client := openOn(t, web)
		web.on("DescribeSecurityGroupRules", xmlAnswer(body))
		view, err := client.Rules(t.Context(), testGroup)
		if err != nil {
			if _, ok := awsclient.KindOf(err); !ok || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("%q", err)
			}
			return
		}
		for _, r := range view.Rules {
			if r.Group != testGroup || r.CIDR != r.CIDR.Masked() {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestProgramAndShellWord(t *testing.T) {
	for in, want := range map[string]string{
		"/opt/bin/saml2aws script --token x":   "saml2aws",
		`"/Applications/My Tool/go me" --json`: "go me",
		`C:\Tools\idp.exe get`:                 "idp.exe",
		"aws configure export-credentials":     "aws",
		"":                                     ".",
	} {
		if got := awsclient.Program(in); got != want {
			t.Errorf("Program(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"work": "work", "my profile": "'my profile'", "a'b": `'a'\''b'`, "$(x)": "'$(x)'", "": "''", "a\nb": "'a b'",
	} {
		if got := awsclient.ShellWord(in); got != want {
			t.Errorf("ShellWord(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAnswerForm(t *testing.T) {
	for body, want := range map[string]bool{
		`{}`: true, "\n {\"a\":1}": true, "<RunInstancesResponse>": true, "<?xml version=\"1.0\"?>\n<XResponse xmlns=\"x\">": true,
		"\uFEFF<?xml version='1.0'?><XResponse>": true,
		"":                                       false, "null": false, "[]": false, "<html>": false, "<!DOCTYPE html><XResponse>": false, "<Responses>": false, "text": false, "\x1f\x8b": false,
	} {
		if got := awsclient.AWSAnswer.MatchString(body); got != want {
			t.Errorf("%q: %v, want %v", body, got, want)
		}
	}
}

func TestCheckEndpoint(t *testing.T) {
	tests := []struct {
		raw, shown string
		own, bad   bool
	}{
		{raw: "https://ec2.eu-west-1.amazonaws.com", shown: "https://ec2.eu-west-1.amazonaws.com", own: true},
		{raw: "https://vpce-1.ec2.cn-north-1.vpce.amazonaws.com.cn/x", shown: "https://vpce-1.ec2.cn-north-1.vpce.amazonaws.com.cn", own: true},
		{raw: "https://ec2.eu-west-1.API.aws.", shown: "https://ec2.eu-west-1.API.aws.", own: true},
		{raw: "https://amazonaws.com.evil.example", shown: "https://amazonaws.com.evil.example"},
		{raw: "https://evilamazonaws.com", shown: "https://evilamazonaws.com"},
		{raw: "https://localhost:4566", shown: "https://localhost:4566"},
		{raw: "http://127.0.0.1:4566/", shown: "http://127.0.0.1:4566"},
		{raw: "http://127.9.9.9", shown: "http://127.9.9.9"},
		{raw: "http://[::1]:4566", shown: "http://[::1]:4566"},
		{raw: "http://localhost", shown: "http://localhost"},
		{raw: "http://localhost.evil.example", bad: true},
		{raw: "http://127.0.0.1.nip.io", bad: true},
		{raw: "http://192.0.2.1", bad: true},
		{raw: "http://[fe80::1%25lo]", bad: true},
		{raw: "ftp://127.0.0.1", bad: true},
		{raw: "https://user:pass@localhost", bad: true},
		{raw: "https://user:pass%zz@localhost", bad: true},
		{raw: "user:pass@local host", bad: true},
		{raw: "127.0.0.1:4566", bad: true},
		{raw: "", bad: true},
	}
	for _, tt := range tests {
		shown, own, err := awsclient.CheckEndpoint(tt.raw)
		if shown != tt.shown || own != tt.own || (err != nil) != tt.bad {
			t.Errorf("%q: %q, %v, %v", tt.raw, shown, own, err)
		}
		if err != nil && strings.Contains(err.Error(), "pass") && strings.Contains(tt.raw, "pass") && !strings.Contains(err.Error(), "a password") {
			t.Errorf("%q: it tells the password: %v", tt.raw, err)
		}
	}
}

func TestAnswerSize(t *testing.T) {
	for size, ok := range map[int]bool{0: true, 99: true, 101: false, 5000: false} {
		got, err := awsclient.ReadBounded(strings.NewReader(strings.Repeat("x", size)), 100)
		if (err == nil) != ok || len(got) != min(size, 100) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
	}
}
