package sgsync_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

func TestCrowded(t *testing.T) {
	for _, tt := range []struct {
		four, six, groups, lists int
		want                     string
	}{
		{53, 53, 0, 0, ""},
		{54, 0, 0, 0, "54 of the 60 IPv4"},
		{0, 60, 0, 0, "60 of the 60 IPv6"},
		{50, 1, 3, 1, "54 of the 60 IPv4"},
		{50, 50, 6, 1, "57 of the 60 IPv4|57 of the 60 IPv6"},
		{61, 0, 0, 0, ""}, // the quota was raised
	} {
		var rules []sgsync.Rule
		for i := range tt.four {
			rules = append(rules, sgsync.Rule{CIDR: netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", i))})
		}
		for i := range tt.six {
			rules = append(rules, sgsync.Rule{CIDR: netip.MustParsePrefix(fmt.Sprintf("2001:db8::%x/128", i))})
		}
		for range tt.groups {
			rules = append(rules, sgsync.Rule{SourceGroup: "sg-1"})
		}
		for range tt.lists {
			rules = append(rules, sgsync.Rule{PrefixList: "pl-1"})
		}
		got := sgsync.Crowded("sg-0", rules)
		var want []string
		if tt.want != "" {
			want = strings.Split(tt.want, "|")
		}
		if len(got) != len(want) {
			t.Errorf("%+v: %q", tt, got)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%+v: %q", tt, got)
			}
		}
	}
}
