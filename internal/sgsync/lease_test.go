package sgsync_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"pgregory.net/rapid"
)

func TestLeaseRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Holder{rapid.StringMatching(`[A-Z]{4}[A-Z0-9]{10,17}(:[\w+=,.@-]{2,64})?`).Draw(t, "user"), rapid.StringMatching(`[0-9a-f]{16}`).Draw(t, "inst")}
		end := time.Unix(rapid.Int64Range(1.7e9, 4e9).Draw(t, "end"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		firm := end.Add(-time.Duration(rapid.Int64Range(0, int64(MaxLease)).Draw(t, "firm")))
		value := FormatLease(end, firm, rapid.String().Draw(t, "who"))
		l, ok := ParseLease(h.Key(), value)
		if !ok || l.Err != nil || l.Holder != h {
			t.Fatalf("%q %q: %+v", h.Key(), value, l)
		}
		if l.End.After(end) || l.FirmFrom.Before(firm.Truncate(time.Second)) || end.Sub(l.End) >= time.Second || l.FirmFrom.Sub(firm) >= time.Second || l.FirmFrom.Before(firm) {
			t.Fatalf("%v %v became %v %v", end, firm, l.End, l.FirmFrom)
		}
		if len(value) > 256 {
			t.Fatalf("a tag value has at most 256 characters: %d", len(value))
		}
	})
}

func TestLeaseKeyFitsATag(t *testing.T) {
	// IAM: the unique id of a role has 21 characters, a role session name at most 64.
	h := Holder{"AROA" + strings.Repeat("X", 17) + ":" + strings.Repeat("s", 64), strings.Repeat("0", 16)}
	if n := len(h.Key()); n > 127 {
		t.Errorf("the longest lease key has %d characters, EC2 takes 127", n)
	}
}

func TestStrangeLeases(t *testing.T) {
	for _, tt := range []struct{ key, value string }{
		{LeasePrefix, ""}, {LeasePrefix + "x", ""}, {LeasePrefix + "-x", ""}, {LeasePrefix + "x-", ""},
		{alice.Key(), ""}, {alice.Key(), "tomorrow"}, {alice.Key(), "2026-11-22T10:00:00Z"}, {alice.Key(), "2026-11-22T10:00:00Z never x"},
		{alice.Key(), "9026-11-22T10:00:00Z 2026-11-22T10:00:00Z x"},
	} {
		l, ok := ParseLease(tt.key, tt.value)
		if !ok || l.Strange(t0) == "" || !l.Live(t0) {
			t.Errorf("%q=%q: ok %v, strange %q, live %v", tt.key, tt.value, ok, l.Strange(t0), l.Live(t0))
		}
	}
	if _, ok := ParseLease("Name", "x"); ok {
		t.Error("a tag of others is no lease")
	}
}

func TestDescribeHoldsOnlyWhatEC2Takes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Describe(rapid.String().Draw(t, "who"), t0)
		// AWS, IpRange: up to 255 characters of this set.
		if len(d) > 255 || strings.Trim(d, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=;{}!$*") != "" {
			t.Fatalf("%q", d)
		}
	})
	if got := Describe("alice@laptop", time.Date(2026, 11, 22, 10, 4, 9, 0, time.UTC)); got != "emr-accessd alice@laptop 2026-11-22T10:04Z" {
		t.Error(got)
	}
}

func FuzzParseLease(f *testing.F) {
	f.Add(alice.Key(), FormatLease(t0, t0, "a@b"))
	f.Add(LeasePrefix+"-", "x")
	f.Fuzz(func(t *testing.T, key, value string) {
		l, ok := ParseLease(key, value)
		if ok != strings.HasPrefix(key, LeasePrefix) {
			t.Fatal("what is a lease depends on the key's prefix alone")
		}
		if ok && l.Err == nil && l.Holder.Key() != key {
			t.Fatalf("holder %+v of %q", l.Holder, key)
		}
		if ok && l.Err != nil && !l.Live(t0) {
			t.Fatal("what cannot be read counts as live")
		}
	})
}
