package keeper_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// leaseOf are the tags of a rule of somebody, whose lease ends in a while.
func leaseOf(user, installation string, ends time.Duration) []string {
	h := sgsync.Holder{UserID: user, Installation: installation}
	return []string{sgsync.OwnerTag, user, h.Key(), sgsync.FormatLease(time.Now().Add(ends), time.Now().Add(ends-24*time.Hour), installation)}
}

func (l *lab) sweepEnded(req keeper.SweepRequest) keeper.Report {
	l.Helper()
	rep, err := l.SweepEnded(context.Background(), req)
	if err != nil {
		l.Fatal(err)
	}
	return rep
}

// Only rules whose leases have all ended go, whoever made them; and ended leases from a rule that lives.
func TestSweepEnded(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{}) // one of this computer, alive: sgr-1-1
		l.world.put("sg-1", "0.0.0.0/0")
		l.world.put("sg-1", "192.0.2.40/32")                                                                                // a colleague's without our tags
		l.world.put("sg-1", "192.0.2.41/32", leaseOf("AIDABOB", "alive", time.Hour)...)                                     //
		l.world.put("sg-1", "192.0.2.42/32", leaseOf("AIDABOB", "gone", -time.Hour)...)                                     // goes
		l.world.put("sg-1", "192.0.2.43/32", leaseOf("AIDAALICE", "mine-and-gone", -time.Hour)...)                          // goes
		l.world.put("sg-1", "192.0.2.44/32", leaseOf("AIDABOB", "just-now", -time.Minute)...)                               // within the grace
		l.world.put("sg-1", "198.51.100.0/28", leaseOf("AIDABOB", "range", -time.Hour)...)                                  // a range
		l.world.put("sg-1", "192.0.2.45/32", append(leaseOf("AIDABOB", "kept", -time.Hour), sgsync.ProvisionedTag, "x")...) // an administrator's
		l.world.put("sg-1", "192.0.2.46/32", append(leaseOf("AIDABOB", "ended", -time.Hour), leaseOf("AIDAEVE", "eve", time.Hour)...)...)
		odd := l.world.put("sg-1", "192.0.2.47/32", leaseOf("AIDABOB", "port", -time.Hour)...) // goes
		l.world.edit(odd, ruleOn(8443))
		l.took()

		rep := l.sweepEnded(keeper.SweepRequest{DryRun: true})
		l.want("would do", did(rep), "j-1 sg-1 remove 192.0.2.42/32", "j-1 sg-1 remove 192.0.2.43/32", "j-1 sg-1 remove 192.0.2.47/32", "j-1 sg-1 purge 192.0.2.46/32")
		if !rep.Pending() || rep.Applied {
			t.Errorf("pending %v, applied %v", rep.Pending(), rep.Applied)
		}
		l.want("writes of a dry run", writes(l.took()))

		rep = l.sweepEnded(keeper.SweepRequest{})
		if err := rep.Failed(); err != nil {
			t.Fatal(err)
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-1-10 192.0.2.46/32:22 eve", "sgr-1-2 0.0.0.0/0:22", "sgr-1-3 192.0.2.40/32:22",
			"sgr-1-4 192.0.2.41/32:22 alive", "sgr-1-7 192.0.2.44/32:22 just-now", "sgr-1-8 198.51.100.0/28:22 range", "sgr-1-9 192.0.2.45/32:22 kept")
		if w := rep.Targets[0].Warnings; len(w) != 1 || !strings.Contains(w[0], "198.51.100.0/28") {
			t.Errorf("warnings: %q", w)
		}
		if n := len(l.net.asked); n > 1 {
			t.Errorf("the address was asked for %d times", n)
		}
		l.took()
		l.want("a second time", did(l.sweepEnded(keeper.SweepRequest{})))
		l.want("writes", writes(l.took()))
	})
}

// One read without a lease may be a read that is behind: it is looked at twice.
func TestSweepOfARuleWithoutLeases(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", "192.0.2.42/32", sgsync.OwnerTag, "AIDABOB")
		joined := l.world.put("sg-1", "192.0.2.43/32", sgsync.OwnerTag, "AIDABOB")
		go func() {
			time.Sleep(5 * time.Second) // between the two
			l.world.edit(joined, func(r *sgsync.Rule) bool {
				l := leaseOf("AIDABOB", "b0b", time.Hour)
				r.Tags[l[2]] = l[3]
				return true
			})
		}()
		start := time.Now()
		if err := l.sweepEnded(keeper.SweepRequest{}).Failed(); err != nil {
			t.Fatal(err)
		}
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.43/32:22 b0b")
		if took := time.Since(start); took < sgsync.Sigma {
			t.Errorf("it took %v", took)
		}
	})
}

// Everywhere: all groups of the region that hold a rule of ours, each once, and the other account not at all.
func TestSweepAll(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.world.cluster("j-3", "sg-3", "203.0.113.30", "")
		for _, g := range []string{"sg-1", "sg-2"} {
			l.world.put(g, "192.0.2.42/32", leaseOf("AIDABOB", "gone", -time.Hour)...)
		}
		all := keeper.Target{Label: "default"}
		rep := l.sweepEnded(keeper.SweepRequest{All: true, Targets: []keeper.Target{all, all}})
		l.want("changes", did(rep), "sg-1 sg-1 remove 192.0.2.42/32", "sg-2 sg-2 remove 192.0.2.42/32")
		l.want("rules", l.rules())

		l.world.put("sg-1", "192.0.2.42/32", leaseOf("AIDABOB", "gone", -time.Hour)...)
		pinned := as(all, func(t *keeper.Target) { t.Account = "999999999999" })
		l.took()
		for _, targets := range [][]keeper.Target{{pinned}, {all, pinned}} { // the pin of one holds for the region
			rep = l.sweepEnded(keeper.SweepRequest{All: true, Targets: targets})
			if _, ok := errors.AsType[*keeper.AccountError](rep.Failed()); !ok {
				t.Errorf("another account: %v", rep.Failed())
			}
			rep, err := l.ReleaseMine(context.Background(), targets, false)
			if _, ok := errors.AsType[*keeper.AccountError](rep.Failed()); !ok || err != nil {
				t.Errorf("another account: %v, %v", rep.Failed(), err)
			}
			l.want("calls", slices.DeleteFunc(l.took(), func(c string) bool { return strings.HasPrefix(c, "open") }))
		}
	})
}

// What was asked for and refused is a failure, unlike in a round, where tidying for others is a courtesy.
func TestSweepRefused(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", "192.0.2.42/32", leaseOf("AIDABOB", "gone", -time.Hour)...)
		l.world.put("sg-1", "192.0.2.46/32", append(leaseOf("AIDABOB", "ended", -time.Hour), leaseOf("AIDAEVE", "eve", time.Hour)...)...)
		l.world.fail = func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "revoke") || strings.HasPrefix(call, "untag") {
				return sgsync.ErrDenied
			}
			return nil
		}
		rep := l.sweepEnded(keeper.SweepRequest{})
		if !errors.Is(rep.Failed(), sgsync.ErrDenied) || len(did(rep)) != 0 {
			t.Errorf("%v, changes %v", rep.Failed(), did(rep))
		}
		if w := rep.Targets[0].Warnings; len(w) != 1 || !strings.Contains(w[0], "ended leases") {
			t.Errorf("warnings: %q", w)
		}
	})
}

// A target that fails does not stop the others.
func TestSweepOneTargetFails(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.put("sg-1", "192.0.2.42/32", leaseOf("AIDABOB", "gone", -time.Hour)...)
		rep := l.sweepEnded(keeper.SweepRequest{Targets: []keeper.Target{target("j-0"), target("j-1")}})
		if rep.Targets[0].Err == nil || rep.Targets[1].Err != nil {
			t.Errorf("%v, %v", rep.Targets[0].Err, rep.Targets[1].Err)
		}
		l.want("rules", l.rules())
		if _, err := (&keeper.Keeper{Store: l.Store}).SweepEnded(context.Background(), keeper.SweepRequest{}); !errors.Is(err, keeper.ErrNothing) {
			t.Errorf("without a target: %v", err)
		}
	})
}

// Everything of one's own goes, of lost computers too: by the leases, and never by the owner tag.
func TestReleaseMine(t *testing.T) {
	for name, dry := range map[string]bool{"done": false, "dry run": true} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
				l.good(keeper.Request{})                                                           // this computer: sgr-1-1
				l.world.put("sg-2", "192.0.2.50/32", leaseOf("AIDAALICE", "lost", time.Hour)...)   // a lost one
				l.world.put("sg-2", "198.51.100.0/28", leaseOf("AIDAALICE", "lost", time.Hour)...) // and its range
				l.world.put("sg-2", "192.0.2.51/32", append(leaseOf("AIDAALICE", "lost", time.Hour), leaseOf("AIDAALICE", "old", -48*time.Hour)...)...)
				l.world.put("sg-2", "192.0.2.52/32", append(leaseOf("AIDAALICE", "lost", time.Hour), leaseOf("AIDABOB", "b0b", time.Hour)...)...) // shared
				mine := leaseOf("AIDABOB", "b0b", time.Hour)
				mine[1] = "AIDAALICE"
				l.world.put("sg-2", "192.0.2.53/32", mine...)                                       // made by me, and Bob's now
				l.world.put("sg-2", "192.0.2.54/32", leaseOf("AIDABOB", "gone", -time.Hour)...)     // not the business of this
				l.world.put("sg-2", "192.0.2.55/32", leaseOf("AIDAALICE-2", "other", time.Hour)...) // another user with a like name
				l.world.put("sg-2", "192.0.2.56/32", sgsync.OwnerTag, "AIDAALICE")                  // no lease
				before := l.rules()
				l.took()
				rep, err := l.ReleaseMine(context.Background(), nil, dry)
				if err != nil || rep.Failed() != nil {
					t.Fatal(err, rep.Failed())
				}
				if dry {
					l.want("rules", l.rules(), before...)
					l.want("writes", writes(l.took()))
				} else {
					l.want("rules", l.rules(), "sgr-2-4 192.0.2.52/32:22 b0b", "sgr-2-5 192.0.2.53/32:22 b0b", "sgr-2-6 192.0.2.54/32:22 gone",
						"sgr-2-7 192.0.2.55/32:22 other", "sgr-2-8 192.0.2.56/32:22")
				}
				l.want("changes", did(rep), "sg-1 sg-1 remove 192.0.2.1/32", "sg-2 sg-2 remove 192.0.2.50/32",
					"sg-2 sg-2 remove 192.0.2.51/32", "sg-2 sg-2 leave 192.0.2.52/32", "sg-2 sg-2 remove 198.51.100.0/28")
			})
		})
	}
}

// An identity that changes with every sign-in finds nothing of its own, and says so.
func TestReleaseMineNeedsAName(t *testing.T) {
	inLab(t, func(l *lab) {
		id := l.world.users[""]
		id.Unstable = true
		l.world.users[""] = id
		rep, err := l.ReleaseMine(context.Background(), nil, false)
		if err != nil || !errors.Is(rep.Failed(), keeper.ErrUnstable) {
			t.Errorf("%v, %v", err, rep.Failed())
		}
		if err := l.sweepEnded(keeper.SweepRequest{}).Failed(); err != nil {
			t.Errorf("a sweep has no identity to lose: %v", err)
		}
	})
}
