package keeper_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Reads that lag behind do not add a rule twice, nor undo a move.
func TestStaleReads(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.lag = 8 * time.Second
		l.good(keeper.Request{})
		l.good(keeper.Request{})
		l.v4(at(office))
		for range 12 {
			l.good(keeper.Request{})
			time.Sleep(time.Second)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		l.want("writes", slices.Compact(writes(l.took())), "authorize sg-1 192.0.2.1/32 22", "modify sgr-1-1 192.0.2.2/32")
	})
}

// A lost answer may turn our own success into a duplicate.
func TestLostAnswers(t *testing.T) {
	for _, lag := range []time.Duration{0, 2 * time.Second, 5 * time.Second} {
		t.Run(lag.String(), func(t *testing.T) {
			inLab(t, func(l *lab) {
				lost := 0
				l.world.lag = lag
				l.world.lose = func(call string) error {
					if len(writes([]string{call})) > 0 && lost < 3 {
						lost++
						return errLost
					}
					return nil
				}
				l.good(keeper.Request{})
				l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
				time.Sleep(time.Minute)
				l.v4(at(office))
				lost = 0
				l.good(keeper.Request{})
				time.Sleep(time.Minute)
				l.good(keeper.Request{})
				if r := l.rules(); len(r) != 1 || !strings.Contains(r[0], office+"/32:22 mine") {
					t.Errorf("rules: %q", r)
				}
			})
		})
	}
}

// A tag that somebody wrote must not keep the state from being saved, or the answer from being printed.
func TestHostileTags(t *testing.T) {
	for name, test := range map[string]struct{ value, then string }{
		"year 10000": {"9999-12-31T23:59:59-12:00 9999-12-31T23:59:59-12:00 x", ""},
		"year -1":    {"0000-01-01T00:00:00+12:00 0000-01-01T00:00:00+12:00 x", "revoke sgr-1-1"}, // ended
		"controls":   {"\x1b[2J", ""},
		"nothing":    {"", ""},
		"long":       {strings.Repeat("9", 256), ""},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				h := sgsync.Holder{UserID: "AIDAMALLORY", Installation: "m"}
				l.world.put("sg-1", "192.0.2.66/32", sgsync.OwnerTag, "x", h.Key(), test.value)
				l.world.put("sg-1", home+"/32", sgsync.OwnerTag, "x", h.Key(), test.value, l.key(), test.value)
				asJSON(t, l.good(keeper.Request{}))
				w := writes(l.took())
				if !slices.Contains(w, "tag sgr-1-2") || slices.Contains(w, "revoke sgr-1-1") != (test.then != "") {
					t.Errorf("writes: %q", w)
				}
				l.state()
			})
		})
	}
}

// Who may not modify adds and removes.
func TestModifyDenied(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.took()
		l.v4(at(office))
		l.world.fail = failing("modify", sgsync.ErrDenied)
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 add 192.0.2.2/32", "j-1 sg-1 remove 192.0.2.1/32")
		l.want("writes", writes(l.took()), "modify sgr-1-1 192.0.2.2/32", "authorize sg-1 192.0.2.2/32 22", "revoke sgr-1-1")
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.2/32:22 mine")
	})
}

// A full group, and a right that is missing, are told; what stands stays until the new one does (I3).
func TestAddFails(t *testing.T) {
	for _, err := range []error{sgsync.ErrQuota, sgsync.ErrDenied, errBroken} {
		inLab(t, func(l *lab) {
			l.world.put("sg-1", home+"/32", bobs(100*time.Hour)...) // shared: it cannot be moved
			l.good(keeper.Request{})
			time.Sleep(time.Minute)
			l.v4(at(office))
			l.world.fail = failing("authorize", err)
			if rep := l.round(keeper.Request{}); !errors.Is(rep.Failed(), err) || rep.Targets[0].Groups[0].Error == nil {
				t.Errorf("failed: %v", rep.Failed())
			}
			l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine bob@desk")
		})
	}
}

// Where reading takes longer than what is read may be written on, that is what is told.
func TestSlowReads(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.fail = func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "rules") {
				time.Sleep(sgsync.WriteWindow + time.Second)
			}
			return nil
		}
		if err := l.round(keeper.Request{}).Failed(); !errors.Is(err, keeper.ErrSlow) {
			t.Errorf("failed: %v", err)
		}
		l.want("writes", writes(l.took()))
		l.world.fail = nil
		l.good(keeper.Request{})
	})
}

// In a full group the own rule for the last address goes first, where it cannot be moved: a colleague made it, and has gone.
func TestOwnRuleMakesRoom(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.good(keeper.Request{})
		time.Sleep(2 * time.Hour)
		l.good(keeper.Request{})
		l.v4(at(office))
		l.took()
		l.world.fail = func(_ context.Context, call string) error {
			l.world.mu.Lock()
			defer l.world.mu.Unlock()
			if strings.HasPrefix(call, "authorize") && len(l.world.rules) > 0 {
				return sgsync.ErrQuota
			}
			return nil
		}
		l.good(keeper.Request{})
		l.want("writes", writes(l.took()), "authorize sg-1 192.0.2.2/32 22", "revoke sgr-1-1", "authorize sg-1 192.0.2.2/32 22")
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.2/32:22 mine")
	})
}

// What one change learns is used for the others in the same round, also when one of them fails for good.
func TestMixedRefusals(t *testing.T) {
	setup := func(l *lab) {
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.world.put("sg-1", home+"/32", bobs(100*time.Hour)...)
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		l.took()
		l.v4(at(office))
		l.net.be(ipwatch.V6, at("2001:db8::2"))
	}
	refuse := func(calls map[string]error) func(context.Context, string) error {
		return func(_ context.Context, call string) error {
			for prefix, err := range calls {
				if strings.HasPrefix(call, prefix) {
					return err
				}
			}
			return nil
		}
	}
	inLab(t, func(l *lab) { // IPv4 finds the group full, IPv6 may not move
		setup(l)
		l.world.fail = refuse(map[string]error{"authorize sg-1 192.0.2.2": sgsync.ErrQuota, "modify": sgsync.ErrDenied})
		if err := l.round(keeper.Request{}).Failed(); !errors.Is(err, sgsync.ErrQuota) {
			t.Errorf("failed: %v", err)
		}
		if !slices.Contains(l.rules(), "sgr-1-3 2001:db8::2/128:22 mine") {
			t.Errorf("rules: %q", l.rules())
		}
	})
	inLab(t, func(l *lab) { // IPv4 may not be joined, IPv6 may not move
		setup(l)
		l.world.put("sg-1", office+"/32", bobs(100*time.Hour)...)
		l.world.fail = refuse(map[string]error{"tag": sgsync.ErrDenied, "modify": sgsync.ErrDenied})
		l.good(keeper.Request{})
		n := 0
		for _, w := range writes(l.took()) {
			if strings.HasPrefix(w, "tag") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("joining was tried %d times", n)
		}
	})
}

// Signing in may take long: the address is asked for again before anything is planned on it.
func TestSlowSignIn(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.fail = func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "open") {
				time.Sleep(keeper.AskAgain + time.Second)
				l.v4(at(office)) // while a password is typed
			}
			return nil
		}
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		if n := len(l.net.asked); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// EC2 may not tell which IPv6 addresses a node has: then nothing is opened or given up.
func TestUnclearIPv6(t *testing.T) {
	inLab(t, func(l *lab) {
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.good(keeper.Request{})
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "")
		p := l.world.places["j-1"]
		p.Unclear6 = true
		l.world.places["j-1"] = p
		l.took()
		for range 15 {
			time.Sleep(time.Minute)
			l.good(keeper.Request{})
		}
		l.want("writes", writes(l.took()))
	})
}

// An IPv6 answer that is late now and then is no reason to call AWS.
func TestCheckWithLateIPv6(t *testing.T) {
	inLab(t, func(l *lab) {
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.good(keeper.Request{})
		time.Sleep(11 * time.Second)
		l.good(keeper.Request{})
		l.took()
		for i := range 10 {
			time.Sleep(30 * time.Second)
			l.net.delay(ipwatch.V6, time.Duration(i%2)*time.Minute)
			l.good(keeper.Request{Check: true})
		}
		l.want("calls", l.took())
	})
}

// A lease that had ended is joined anew, the answer is lost, and then the address is not known any more. A read that
// still shows the ended lease is no reason to take the rule away: the new one may hold.
func TestLostJoinThenUnknown(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(30 * time.Hour)
		l.world.lag = 3 * time.Second
		l.world.lose = func(call string) error {
			if strings.HasPrefix(call, "tag ") {
				l.world.failWith(failing("tag", errBroken)) // and what is tried next does not arrive
				return errLost
			}
			return nil
		}
		l.round(keeper.Request{})
		l.world.failWith(nil)
		l.world.lose = nil
		l.v4(sight{state: ipwatch.Offline})
		l.took()
		l.round(keeper.Request{})
		l.want("writes", writes(l.took()))
		time.Sleep(sgsync.Sigma)
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
	})
}
