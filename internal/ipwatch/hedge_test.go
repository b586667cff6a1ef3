package ipwatch_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// script is what the fake sources do: by source name, after how long and with what ("" is never).
type script map[string]struct {
	after time.Duration
	what  string
}

// fakes is a detector whose sources follow a script, and the record of who was asked when.
type fakes struct {
	*ipwatch.Detector
	mu    sync.Mutex
	asked []string
}

// source makes a fake source; its operator is the name up to a digit.
func fakeSource(name string) ipwatch.Source {
	return ipwatch.Source{Name: name, Operator: strings.TrimRight(name, "0123456789"), URL: "https://" + name + ".example/"}
}

func newFakes(t *testing.T, p ipwatch.Policy, order []string, s script) *fakes {
	t.Helper()
	var sources []ipwatch.Source
	for _, name := range order {
		sources = append(sources, fakeSource(name))
	}
	d, err := ipwatch.NewDetector(ipwatch.Config{Sources: sources, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakes{Detector: d}
	begin := time.Now()
	d.Ask = func(ctx context.Context, src ipwatch.Source, _ ipwatch.Family) ipwatch.Answer {
		f.mu.Lock()
		f.asked = append(f.asked, fmt.Sprintf("%s@%d", src.Name, time.Since(begin).Milliseconds()))
		f.mu.Unlock()
		act := s[src.Name]
		wait := time.NewTimer(act.after)
		defer wait.Stop()
		if act.what != "" {
			select {
			case <-wait.C:
				a := said(src.Operator, act.what)
				a.Local = netip.MustParseAddr("192.168.1.5")
				return a
			case <-ctx.Done():
			}
		}
		<-ctx.Done()
		fault := ipwatch.FaultTimeout
		if errors.Is(ctx.Err(), context.Canceled) {
			fault = ipwatch.FaultStopped
		}
		return ipwatch.Answer{Err: &ipwatch.EchoError{Fault: fault}}
	}
	return f
}

func TestHedging(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	three := []string{"aws", "cloudflare", "ipify"}
	def := ipwatch.DefaultPolicy()
	one, all := def, def
	one.Agree, all.Agree = 1, 3
	free := def
	free.Require = ""
	for _, c := range []struct {
		name   string
		policy ipwatch.Policy
		order  []string
		script script
		asked  []string // source@ms, sorted
		state  ipwatch.State
		addr   string
		took   time.Duration
	}{
		{"all well", def, three, script{"aws": {20 * ms, addrX}, "cloudflare": {25 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0"}, ipwatch.Confirmed, addrX, 25 * ms},
		{"required one is listed last", def, []string{"cloudflare", "ipify", "aws"}, script{"aws": {20 * ms, addrX}, "cloudflare": {20 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0"}, ipwatch.Confirmed, addrX, 20 * ms},
		{"second hangs", def, three, script{"aws": {20 * ms, addrX}, "ipify": {25 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@250"}, ipwatch.Confirmed, addrX, 275 * ms},
		{"second is slow, first three agree", def, three, script{"aws": {20 * ms, addrX}, "cloudflare": {260 * ms, addrX}, "ipify": {time.Second, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@250"}, ipwatch.Confirmed, addrX, 260 * ms},
		{"second fails", def, three, script{"aws": {20 * ms, addrX}, "cloudflare": {30 * ms, "!portal"}, "ipify": {20 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@30"}, ipwatch.Confirmed, addrX, 50 * ms},
		{"second answers a private address", def, three, script{"aws": {20 * ms, addrX}, "cloudflare": {30 * ms, "10.0.0.1"}, "ipify": {20 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@30"}, ipwatch.Confirmed, addrX, 50 * ms},
		{"second lies", def, three, script{"aws": {20 * ms, addrX}, "cloudflare": {30 * ms, addrY}, "ipify": {20 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@30"}, ipwatch.Confirmed, addrX, 50 * ms},
		{"all differ", def, three, script{"aws": {20 * ms, addrX}, "cloudflare": {30 * ms, addrY}, "ipify": {20 * ms, "8.8.4.4"}},
			[]string{"aws@0", "cloudflare@0", "ipify@30"}, ipwatch.Conflict, "", 50 * ms},
		{"required one hangs", def, three, script{"cloudflare": {20 * ms, addrX}, "ipify": {20 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@250"}, ipwatch.Unsure, "", 3 * time.Second},
		{"required one fails, its spare helps", def, []string{"aws", "cloudflare", "ipify", "aws2"},
			script{"aws": {20 * ms, "!dns"}, "cloudflare": {30 * ms, addrX}, "ipify": {10 * time.Second, addrX}, "aws2": {20 * ms, addrX}},
			[]string{"aws2@20", "aws@0", "cloudflare@0"}, ipwatch.Confirmed, addrX, 40 * ms},
		{"required one hangs, its spare helps", def, []string{"aws", "cloudflare", "ipify", "aws2"},
			script{"cloudflare": {30 * ms, addrX}, "ipify": {20 * ms, addrX}, "aws2": {20 * ms, addrX}},
			[]string{"aws2@500", "aws@0", "cloudflare@0", "ipify@250"}, ipwatch.Confirmed, addrX, 520 * ms},
		{"a vote given is not asked for again", def, []string{"aws", "aws2", "cloudflare", "cloudflare2"},
			script{"aws": {20 * ms, addrX}, "cloudflare": {20 * ms, "!status"}, "cloudflare2": {20 * ms, "!status"}},
			[]string{"aws@0", "cloudflare2@20", "cloudflare@0"}, ipwatch.Unsure, "", 40 * ms},
		{"all hang", def, three, script{}, []string{"aws@0", "cloudflare@0", "ipify@250"}, ipwatch.Offline, "", 3250 * ms},
		{"five seconds in all", def, slices.Concat(three, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}), script{},
			[]string{"a@500", "aws@0", "b@750", "c@1000", "cloudflare@0", "d@1250", "e@1500", "f@1750", "g@2000", "h@2250", "i@2500", "ipify@250", "j@2750", "k@3000", "l@3000"},
			ipwatch.Offline, "", 5 * time.Second},
		{"one is enough", one, three, script{"aws": {20 * ms, addrX}, "cloudflare": {time.Millisecond, addrY}},
			[]string{"aws@0"}, ipwatch.Confirmed, addrX, 20 * ms},
		{"three must agree", all, three, script{"aws": {20 * ms, addrX}, "cloudflare": {30 * ms, addrX}, "ipify": {40 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@0"}, ipwatch.Confirmed, addrX, 40 * ms},
		{"a conflict does not wait for the third", all, []string{"aws", "cloudflare", "ipify", "mine"},
			script{"aws": {20 * ms, addrX}, "cloudflare": {30 * ms, addrY}, "ipify": {60 * ms, addrX}, "mine": {20 * ms, addrX}},
			[]string{"aws@0", "cloudflare@0", "ipify@0", "mine@30"}, ipwatch.Confirmed, addrX, 60 * ms},
		{"none required", free, []string{"cloudflare", "ipify", "aws"}, script{"cloudflare": {20 * ms, addrX}, "ipify": {30 * ms, addrX}},
			[]string{"cloudflare@0", "ipify@0"}, ipwatch.Confirmed, addrX, 30 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t, c.policy, c.order, c.script)
				begin := time.Now()
				o := f.Observe(t.Context(), ipwatch.V4)
				took := time.Since(begin)
				v := f.Conclude(o, nil)
				checkVerdict(t, v)
				got := ""
				if v.Addr.IsValid() {
					got = v.Addr.String()
				}
				if v.State != c.state || got != c.addr || took != c.took {
					t.Errorf("%s %s after %s: %s; want %s %s after %s", v.State, got, took, v.Why, c.state, c.addr, c.took)
				}
				slices.Sort(f.asked)
				if !slices.Equal(f.asked, c.asked) {
					t.Errorf("asked %v, want %v", f.asked, c.asked)
				}
				if len(o.Answers) != len(c.asked) {
					t.Errorf("%d answers of %d sources asked", len(o.Answers), len(c.asked))
				}
				if !o.At.Equal(begin) {
					t.Errorf("observed at %v, want %v", o.At, begin)
				}
			})
		})
	}
}

// TestSkipped checks that a source which was not waited for is told apart from one that failed.
func TestSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, ipwatch.DefaultPolicy(), []string{"aws", "cloudflare", "ipify"},
			script{"aws": {20 * time.Millisecond, addrX}, "ipify": {20 * time.Millisecond, addrX}})
		o := f.Observe(t.Context(), ipwatch.V4)
		e, ok := errors.AsType[*ipwatch.EchoError](o.Answers[1].Err)
		if !ok || e.Fault != ipwatch.FaultSkipped || o.Answers[1].Took != 270*time.Millisecond {
			t.Errorf("answer %v after %s, want skipped after 270ms", o.Answers[1].Err, o.Answers[1].Took)
		}
	})
}

// TestSkippedFault: what really failed is not told as skipped, even when it fails after the others have agreed.
func TestSkippedFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, ipwatch.DefaultPolicy(), []string{"aws", "cloudflare", "ipify"},
			script{"aws": {20 * time.Millisecond, addrX}, "ipify": {20 * time.Millisecond, addrX}})
		ask := f.Ask
		f.Ask = func(ctx context.Context, s ipwatch.Source, family ipwatch.Family) ipwatch.Answer {
			if s.Name != "cloudflare" {
				return ask(ctx, s, family)
			}
			<-ctx.Done()
			return said("cloudflare", "!status")
		}
		e, ok := errors.AsType[*ipwatch.EchoError](f.Observe(t.Context(), ipwatch.V4).Answers[1].Err)
		if !ok || e.Fault != ipwatch.FaultStatus {
			t.Errorf("answer %v, want its own failure", e)
		}
	})
}

// TestHedgingMixed: agreeing answers that left by two networks are not enough, and the next source is asked at once,
// although nothing has failed and nobody is waited for.
func TestHedgingMixed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, ipwatch.DefaultPolicy(), []string{"aws", "cloudflare", "ipify"},
			script{"aws": {20 * time.Millisecond, addrX}, "cloudflare": {30 * time.Millisecond, addrX}, "ipify": {20 * time.Millisecond, addrX}})
		ask := f.Ask
		f.Ask = func(ctx context.Context, s ipwatch.Source, family ipwatch.Family) ipwatch.Answer {
			a := ask(ctx, s, family)
			if s.Name == "cloudflare" {
				a.Local = netip.MustParseAddr("10.8.0.2")
			}
			return a
		}
		o := f.Observe(t.Context(), ipwatch.V4)
		if v := f.Conclude(o, nil); v.State != ipwatch.Unsure || len(o.Answers) != 3 {
			t.Errorf("%s of %d answers (%s)", v.State, len(o.Answers), v.Why)
		}
		if slices.Sort(f.asked); !slices.Equal(f.asked, []string{"aws@0", "cloudflare@0", "ipify@30"}) {
			t.Errorf("asked %v", f.asked)
		}
	})
}

func TestObserveStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, ipwatch.DefaultPolicy(), []string{"aws", "cloudflare", "ipify"}, script{"aws": {20 * time.Millisecond, addrX}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		begin := time.Now()
		v := f.Conclude(f.Observe(ctx, ipwatch.V4), nil)
		if took := time.Since(begin); v.State != ipwatch.Unsure || took != 100*time.Millisecond {
			t.Errorf("state %s after %s (%s), want unsure after 100ms", v.State, took, v.Why)
		}
		if slices.Sort(f.asked); !slices.Equal(f.asked, []string{"aws@0", "cloudflare@0"}) {
			t.Errorf("asked %v: nobody is to be asked after the end", f.asked)
		}
		cancel()
		if v := f.Conclude(f.Observe(ctx, ipwatch.V4), nil); v.State != ipwatch.Unsure || !strings.Contains(v.Why, "stopped") {
			t.Errorf("state %s (%s), want unsure because it was stopped: silence is no sign of being offline then", v.State, v.Why)
		}
	})
}

func TestObserveAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ms := time.Millisecond
		f := newFakes(t, ipwatch.DefaultPolicy(), []string{"aws", "cloudflare", "ipify", "aws2"},
			script{"aws": {20 * ms, addrX}, "cloudflare": {10 * ms, addrX}, "aws2": {30 * ms, addrY}})
		begin := time.Now()
		o := f.ObserveAll(t.Context(), ipwatch.V4)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %s, want the 3s of the source that hangs", took)
		}
		var names []string
		for _, a := range o.Answers {
			names = append(names, a.Source.Name)
		}
		if !slices.Equal(names, []string{"aws", "cloudflare", "ipify", "aws2"}) || o.Answers[3].Took != 30*ms {
			t.Errorf("answers of %v, the last after %s", names, o.Answers[3].Took)
		}
		if v := f.Conclude(o, nil); v.State != ipwatch.Conflict {
			t.Errorf("state %s (%s), want conflict: AWS contradicts itself", v.State, v.Why)
		}
	})
}
