package awssim

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The filters' wildcards agree with a regular expression made from the same pattern.
func TestWildcardAgreesWithARegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?.é]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab.é]{0,8}`).Draw(t, "s")
		quoted := regexp.QuoteMeta(pattern)
		quoted = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted)
		if got, want := wildcard(pattern, s), regexp.MustCompile("^(?s:"+quoted+")$").MatchString(s); got != want {
			t.Errorf("wildcard(%q, %q) is %v", pattern, s, got)
		}
	})
}

func TestWildcardEscapes(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{`\?`, "?", true},
		{`\\`, `\`, true},
		{`a\`, `a\`, true},
		{strings.Repeat("a*", 200) + "b", strings.Repeat("a", 2000), false}, // and quickly
	} {
		if got := wildcard(c.pattern, c.s); got != c.want {
			t.Errorf("wildcard(%.20q, %.20q) is %v", c.pattern, c.s, got)
		}
	}
}
