package ipwatch_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"pgregory.net/rapid"
)

// looks are observations that were concluded; each is what AWS, Cloudflare and ipify said, "" for nothing, and a fourth
// is a second source of AWS.
func looks(t *testing.T, local string, rows ...[]string) []ipwatch.Verdict {
	t.Helper()
	var vs []ipwatch.Verdict
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	d.LocalAddr = func(ipwatch.Family, netip.Addr) (netip.Addr, error) { return netip.MustParseAddr(local), nil }
	for _, row := range rows {
		var as []ipwatch.Answer
		for i, what := range row {
			if what != "" {
				as = append(as, answerFrom([]string{"aws", "cloudflare", "ipify", "aws"}[i], what, local))
			}
		}
		v := d.Conclude(ipwatch.Observation{Family: ipwatch.V4, Answers: as}, addrs("52.1.2.3"))
		checkVerdict(t, v)
		vs = append(vs, v)
	}
	return vs
}

func TestStanding(t *testing.T) {
	t.Parallel()
	const w1, w2 = "192.168.1.5", "10.20.0.7"
	times := func(n int, row ...string) (rows [][]string) {
		for range n {
			rows = append(rows, row)
		}
		return rows
	}
	pool := [][]string{{"52.0.0.1", "52.1.0.1"}, {"52.0.7.1", "52.9.0.1"}, {"52.4.0.1", "52.3.0.1"}}
	for _, c := range []struct {
		name    string
		history []ipwatch.Verdict
		why     string
		remedy  string
	}{
		{"by destination", looks(t, w1, times(3, addrX, addrY, addrY)...), "AWS always says " + addrX + ", and others always " + addrY, `ipv4 = "` + addrX + `"`},
		{"two of three looks", looks(t, w1, times(2, addrX, addrY, addrY)...), "If it stays so and AWS is right", `ipv4 = "` + addrX + `"`},
		{"pool, AWS varies", looks(t, w1, pool...), "52.0.0.1, 52.0.7.1, 52.1.0.1, 52.3.0.1 and 2 more: this network leaves by an address of a pool", ""},
		{"pool, AWS happens to be stable", looks(t, w1, []string{addrX, "52.1.0.1"}, []string{addrX, "52.2.0.1"}, []string{addrX, "52.3.0.1"}), "this cannot work here: use a VPN", ""},
		{"pool, others are stable", looks(t, w1, []string{"52.1.0.1", addrY}, []string{"52.2.0.1", addrY}, []string{"52.3.0.1", addrY}), "this cannot work here", ""},
		{"AWS contradicts itself", looks(t, w1, times(3, addrX, addrX, "", addrY)...), "this cannot work here", ""},
		{"three uplinks", looks(t, w1, times(3, addrX, addrY, "8.8.4.4")...), "this cannot work here", ""},
		{"small range", looks(t, w1, []string{"52.0.0.17", "52.0.0.18"}, []string{"52.0.0.30", "52.0.0.18"}, []string{"52.0.0.17", "52.0.0.29"}),
			"If the range 52.0.0.16/28 is your organisation's own", `trusted = ["52.0.0.16/28"]`},
		{"just too wide", looks(t, w1, []string{"52.0.0.15", "52.0.0.18"}, []string{"52.0.0.14", "52.0.0.18"}, []string{"52.0.0.15", "52.0.0.18"}), "this cannot work here", ""},
		{"AWS is silent", looks(t, w1, times(3, "", addrX, addrY)...), "this cannot work here", ""},
		{"another network before", append(looks(t, w1, pool...), looks(t, w2, times(3, addrX, addrY, addrY)...)...), "of 3 looks in a row", `ipv4 = "` + addrX + `"`},
		{"just moved there", append(looks(t, w1, pool...), looks(t, w2, times(2, addrX, addrY, addrY)...)...), "If it stays so and AWS is right", `ipv4 = "` + addrX + `"`},
		{"confirmed in between", append(append(looks(t, w1, times(2, addrX, addrY)...), looks(t, w1, []string{addrX, addrX})...), looks(t, w1, times(2, addrX, addrY)...)...),
			"If it stays so", `ipv4 = "` + addrX + `"`},
		{"confirmed at last", append(looks(t, w1, times(3, addrX, addrY)...), looks(t, w1, []string{addrX, addrX})...), "agree on", ""},
		{"nothing", nil, "", ""},
	} {
		why, remedy := ipwatch.Standing(c.history)
		if !strings.Contains(why, c.why) || remedy != c.remedy || !strings.Contains(why, remedy) || why != ipwatch.Clean(why, 10000) {
			t.Errorf("%s: remedy %q, %s\nwant %q, …%s…", c.name, remedy, why, c.remedy, c.why)
		}
	}
}

// TestStandingWavering: others that say what AWS says now and then are no other way out, but a pool of two.
func TestStandingWavering(t *testing.T) {
	t.Parallel()
	var history []ipwatch.Verdict
	for i := range ipwatch.StandingAfter {
		a, b := addrX, addrY
		if i%2 == 1 {
			a, b = b, a
		}
		as := []ipwatch.Answer{said("aws", addrX), said("cloudflare", a), said("ipify", b), said("mine", addrY)}
		state, _, why := ipwatch.Decide(ipwatch.DefaultPolicy(), ipwatch.V4, as)
		history = append(history, ipwatch.Verdict{Family: ipwatch.V4, State: state, Why: why, Answers: as})
	}
	if why, remedy := ipwatch.Standing(history); remedy != "" || !strings.Contains(why, "this cannot work here") {
		t.Errorf("remedy %q: %s", remedy, why)
	}
}

// conflicting are looks of one kind that ended in a conflict: three answers that are not concluded by anybody.
func conflicting(f ipwatch.Family, looks ...[]ipwatch.Answer) []ipwatch.Verdict {
	var vs []ipwatch.Verdict
	for _, as := range looks {
		vs = append(vs, ipwatch.Verdict{Family: f, State: ipwatch.Conflict, Why: "the last look", Answers: as})
	}
	return vs
}

// TestStandingAnswers: which answers count, and when looks are of one network.
func TestStandingAnswers(t *testing.T) {
	t.Parallel()
	const w1, w2 = "192.168.1.5", "10.20.0.7"
	broken := func(what, local string) ipwatch.Answer {
		a := answerFrom("ipify", what, local)
		a.Err = errors.New("failed, whatever the address says")
		return a
	}
	aws, cf, unknown := answerFrom("aws", addrX, w1), answerFrom("cloudflare", addrY, w1), said("cloudflare", addrY)
	other := answerFrom("cloudflare", addrY, w2)
	six := func(aws, other string) []ipwatch.Answer {
		return []ipwatch.Answer{said("aws", aws), said("ipify", other)}
	}
	destination := "AWS always says " + addrX + ", and others always " + addrY
	for _, c := range []struct {
		name    string
		history []ipwatch.Verdict
		why     string
	}{
		{"failures do not count", conflicting(ipwatch.V4, []ipwatch.Answer{aws, cf, said("ipify", "!timeout")}, []ipwatch.Answer{aws, cf, broken("8.8.4.4", w2)},
			[]ipwatch.Answer{aws, cf, said("ipify", addr6)}), destination},
		{"an unknown local address is no other one", conflicting(ipwatch.V4, []ipwatch.Answer{aws, unknown}, []ipwatch.Answer{aws, cf}, []ipwatch.Answer{unknown, aws}), destination},
		{"nor does the order tell networks apart", conflicting(ipwatch.V4, []ipwatch.Answer{aws, other}, []ipwatch.Answer{other, aws}, []ipwatch.Answer{aws, other, cf}), destination},
		{"another network", conflicting(ipwatch.V4, []ipwatch.Answer{aws, cf}, []ipwatch.Answer{aws, cf}, []ipwatch.Answer{aws, other}), "the last look"},
		{"conflicts without answers", conflicting(ipwatch.V4, nil, nil, nil), "the last look"},
		{"one address", conflicting(ipwatch.V4, []ipwatch.Answer{aws}, []ipwatch.Answer{aws}, []ipwatch.Answer{aws}), "the last look"},
		{"IPv6 has no small range", conflicting(ipwatch.V6, six("2600:1f18::1", "2600:1f18::2"), six("2600:1f18::3", "2600:1f18::2"), six("2600:1f18::1", "2600:1f18::4")),
			"this cannot work here"},
	} {
		if why, remedy := ipwatch.Standing(c.history); !strings.Contains(why, c.why) || strings.Contains(remedy, "trusted") {
			t.Errorf("%s: remedy %q, %s\nwant …%s…", c.name, remedy, why, c.why)
		}
	}
}

// TestStandingProperty: for any history there is a sentence, and a remedy names nothing but what AWS always said, or a
// range of at most 16 addresses that has all that was said.
func TestStandingProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var history []ipwatch.Verdict
		for range rapid.IntRange(3, 6).Draw(t, "looks") {
			as := genAnswers(t)
			state, addr, why := ipwatch.Decide(ipwatch.DefaultPolicy(), ipwatch.V4, as)
			history = append(history, ipwatch.Verdict{Family: ipwatch.V4, State: state, Addr: addr, Why: why, Answers: as})
		}
		why, remedy := ipwatch.Standing(history)
		if why == "" || why != ipwatch.Clean(why, 10000) {
			t.Fatalf("sentence %q", why)
		}
		last := history[len(history)-1]
		if fixed, ok := strings.CutPrefix(remedy, `ipv4 = "`); ok {
			a := netip.MustParseAddr(strings.TrimSuffix(fixed, `"`))
			for _, x := range last.Answers {
				if key(x) == "aws" && x.Err == nil && ipwatch.V4.Has(x.Addr) && x.Addr != a {
					t.Fatalf("remedy %s, but AWS said %s", remedy, x.Addr)
				}
			}
		}
		if list, ok := strings.CutPrefix(remedy, `trusted = ["`); ok {
			p := netip.MustParsePrefix(strings.TrimSuffix(list, `"]`))
			if p.Bits() < 28 {
				t.Fatalf("remedy %s is too wide", remedy)
			}
		}
	})
}
