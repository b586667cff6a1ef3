package keeper_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// A rule that was joined is read again at once, and again at firm-from.
func TestJoin(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.skew = -90 * time.Second // AWS's clock decides, not the laptop's
		l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.good(keeper.Request{})
		time.Sleep(11 * time.Second)
		l.world.edit("sgr-1-1", func(r *sgsync.Rule) bool { delete(r.Tags, l.key()); return true }) // as if never joined
		start := time.Now()
		l.took()
		rep := l.good(keeper.Request{})
		l.want("calls", l.took(), "open |", "resolve j-1", "rules sg-1", "tag sgr-1-1", "rules sg-1")
		c := rep.Targets[0].Groups[0].Changes[0]
		if firm := start.Add(l.world.skew + sgsync.D).UTC(); c.Do != "join" || c.Firm || c.FirmFrom == nil || !c.FirmFrom.Equal(firm) || !rep.Pending() {
			t.Errorf("join: %+v, firm from %v, want %v", c, c.FirmFrom, firm)
		}
		next := func() time.Duration { return l.state().Status.NextRound.Sub(start) }
		if next() != sgsync.Sigma {
			t.Errorf("looks again after %v, when reads have caught up", next())
		}
		time.Sleep(sgsync.Sigma)
		if rep := l.good(keeper.Request{Check: true}); !rep.Pending() {
			t.Error("firm too early")
		}
		if next() != sgsync.D+sgsync.ClockGrain {
			t.Errorf("looks again after %v, at firm-from", next())
		}
		time.Sleep(sgsync.D + sgsync.ClockGrain - sgsync.Sigma)
		if rep := l.good(keeper.Request{Check: true}); rep.Pending() || !rep.Targets[0].Groups[0].Changes[0].Firm {
			t.Errorf("not firm at firm-from: %+v", rep.Targets[0].Groups[0])
		}
	})
}

// A rule that is moved away while it is joined is noticed by the read that follows at once.
func TestJoinLosesTheRule(t *testing.T) {
	inLab(t, func(l *lab) {
		id := l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.world.lose = func(call string) error {
			if call == "tag "+id {
				l.world.edit(id, func(r *sgsync.Rule) bool { r.CIDR = prefixes("192.0.2.77/32")[0]; return true })
			}
			return nil
		}
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.77/32:22 bob@desk", "sgr-1-2 192.0.2.1/32:22 mine")
	})
}

func TestRenewPastHalf(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.took()
		for range 13 * 4 {
			time.Sleep(15 * time.Minute)
			l.good(keeper.Request{Check: true})
			if w := writes(l.took()); len(w) > 0 {
				l.want("writes", w, "tag sgr-1-1")
				if age := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); age < 12*time.Hour || age > 12*time.Hour+30*time.Minute {
					t.Errorf("renewed after %v", age)
				}
				lease, _ := sgsync.ParseLease(l.key(), l.world.rules["sgr-1-1"].Tags[l.key()])
				if left := time.Until(lease.End); left != 24*time.Hour {
					t.Errorf("the lease ends in %v", left)
				}
				return
			}
		}
		t.Error("never renewed")
	})
}

// A rule that cannot be joined is borrowed: looked at each minute, and replaced when it goes.
func TestBorrowed(t *testing.T) {
	inLab(t, func(l *lab) {
		id := l.world.put("sg-1", home+"/32") // an administrator's
		rep := l.good(keeper.Request{})
		l.want("changes", did(rep), "j-1 sg-1 borrow 192.0.2.1/32")
		if rep.Pending() || rep.Changed() {
			t.Error("a borrowed rule is neither a change nor pending")
		}
		l.want("writes", writes(l.took()))
		if next := time.Until(l.state().Status.NextRound); next != sgsync.RecheckBorrowed+sgsync.ClockGrain {
			t.Errorf("looked at again in %v", next)
		}
		l.world.edit(id, func(*sgsync.Rule) bool { return false })
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 add 192.0.2.1/32")
	})
	inLab(t, func(l *lab) { // tagging is refused
		l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		l.world.fail = failing("tag ", sgsync.ErrDenied)
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 borrow 192.0.2.1/32")
	})
}

// Tidying up after others may be refused; that is no reason to come back every ten seconds.
func TestRefusedPurge(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		gone := sgsync.Holder{UserID: "AIDACAROL", Installation: "c"}
		l.world.edit("sgr-1-1", func(r *sgsync.Rule) bool {
			r.Tags[gone.Key()] = sgsync.FormatLease(time.Now().Add(-time.Hour), time.Now().Add(-25*time.Hour), "carol@old")
			return true
		})
		l.world.fail = failing("untag ", sgsync.ErrDenied)
		time.Sleep(time.Minute)
		rep := l.good(keeper.Request{})
		l.want("changes", did(rep), "j-1 sg-1 keep 192.0.2.1/32")
		if next := time.Until(l.state().Status.NextRound); next < 13*time.Minute {
			t.Errorf("comes back after %v", next)
		}
		l.world.fail = nil
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 purge 192.0.2.1/32", "j-1 sg-1 keep 192.0.2.1/32")
	})
}

// A colleague's rule whose lease has ended goes, unless it is to be reported only.
func TestExpired(t *testing.T) {
	inLab(t, func(l *lab) {
		l.ReportExpired = true
		id := l.world.put("sg-1", "192.0.2.9/32", bobs(-time.Hour)...)
		l.want("expired", l.good(keeper.Request{}).Targets[0].Groups[0].Expired, id)
		l.ReportExpired = false
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 remove 192.0.2.9/32", "j-1 sg-1 keep 192.0.2.1/32")
	})
	inLab(t, func(l *lab) { // a rule with no lease at all: two reads, and no memory of it afterwards
		l.world.put("sg-1", "192.0.2.9/32", sgsync.OwnerTag, "AIDABOB")
		l.good(keeper.Request{})
		if n := len(l.state().Bare); n != 1 {
			t.Errorf("%d bare rules remembered", n)
		}
		time.Sleep(sgsync.Sigma + sgsync.ClockGrain)
		l.good(keeper.Request{Check: true})
		l.want("rules", l.rules(), "sgr-1-2 192.0.2.1/32:22 mine")
		l.good(keeper.Request{})
		if n := len(l.state().Bare); n != 0 {
			t.Errorf("%d bare rules remembered", n)
		}
	})
}

// A disk that was copied with its machine id: whoever notices takes a new id.
func TestClonedDisk(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		original := l.key()
		l.world.edit("sgr-1-1", func(r *sgsync.Rule) bool { r.CIDR = prefixes("198.51.100.9/32")[0]; return true }) // by the copy
		time.Sleep(time.Minute)
		l.took()
		if rep := l.good(keeper.Request{DryRun: true}); len(rep.Warnings) != 1 || l.key() != original {
			t.Errorf("dry run: %q", rep.Warnings)
		}
		rep := l.good(keeper.Request{})
		if len(rep.Warnings) != 1 || !strings.Contains(rep.Warnings[0], "copied") || l.key() == original {
			t.Errorf("warnings %q, key %s", rep.Warnings, l.key())
		}
		l.want("writes", writes(l.took()), "authorize sg-1 192.0.2.1/32 22")
		l.want("rules", l.world.tell(map[string]string{l.key(): "new", original: "old"}), "sgr-1-1 198.51.100.9/32:22 old", "sgr-1-2 192.0.2.1/32:22 new")
		l.took()
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 keep 192.0.2.1/32")
		l.want("writes", writes(l.took()))
	})
}

// A read that is stale shows a rule where it was before our own move. That is no copy of the disk, also where the state has lost
// where it was: damaged before the move, or as a round that was killed after it leaves it.
func TestStaleReadIsNoClone(t *testing.T) {
	for name, forget := range map[string]func(l *lab, moved bool){
		"damaged": func(l *lab, moved bool) {
			if !moved {
				if err := os.WriteFile(l.Store.Path("state.json"), []byte("{"), 0o600); err != nil {
					l.Fatal(err)
				}
			}
		},
		"killed": func(l *lab, moved bool) {
			st := l.state()
			if moved {
				st.Rules = nil
			}
			if err := l.Store.Save(st); err != nil {
				l.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.world.lag = 9 * time.Second
				l.good(keeper.Request{})
				key := l.key()
				time.Sleep(time.Minute)
				forget(l, false)
				l.v4(at(office))
				l.good(keeper.Request{})
				forget(l, true)
				for range 4 {
					time.Sleep(4 * time.Second)
					for _, w := range l.good(keeper.Request{}).Warnings {
						t.Error(w)
					}
				}
				if l.key() != key {
					t.Error("another installation")
				}
				l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
			})
		})
	}
}

// copied is the same installation on a copy of this disk, which works at the office.
func (l *lab) copied() *keeper.Keeper {
	l.Helper()
	state := l.state()
	other := *l.Keeper
	store, err := keeper.OpenStore(filepath.Join(l.TempDir(), "copy"), filepath.Join(l.TempDir(), "copy"))
	if err != nil {
		l.Fatal(err)
	}
	state.Installation = strings.TrimPrefix(l.key(), sgsync.LeasePrefix+"AIDAALICE-")
	if err := store.Save(state); err != nil {
		l.Fatal(err)
	}
	other.Store, other.Watch = store, newNetwork(office)
	return &other
}

// Two copies of one disk that both work end with an id and a rule each.
func TestTwoClones(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		other := l.copied()
		for range 3 {
			for _, k := range []*keeper.Keeper{other, l.Keeper} {
				if rep, err := k.Round(context.Background(), keeper.Request{}); err != nil || rep.Failed() != nil {
					t.Fatal(err, rep.Failed())
				}
				time.Sleep(time.Minute)
			}
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 alice@laptop", "sgr-1-2 192.0.2.1/32:22 mine")
	})
}

// An address that flips is held at both; rules do not churn.
func TestFlippingAddress(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.took()
		for i, a := range []string{office, home, office, home} {
			time.Sleep(10 * time.Second)
			l.v4(at(a))
			l.good(keeper.Request{Check: true})
			if w := writes(l.took()); i >= 2 && len(w) > 0 {
				t.Errorf("flip %d: %q", i, w)
			}
		}
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine", "sgr-1-2 192.0.2.1/32:22 mine")
		for time.Sleep(30 * time.Second); time.Until(l.state().Status.NextRound) > 0; time.Sleep(time.Second) {
		}
		l.good(keeper.Request{Check: true})
		time.Sleep(30 * time.Second)
		l.good(keeper.Request{Check: true})
		l.want("rules when it is quiet", l.rules(), "sgr-1-2 192.0.2.1/32:22 mine")
	})
	inLab(t, func(l *lab) { // coming back later is no flip
		for _, a := range []string{home, office, home} {
			l.v4(at(a))
			l.good(keeper.Request{})
			l.want("rules", l.rules(), fmt.Sprintf("sgr-1-1 %s/32:22 mine", a))
			time.Sleep(2 * time.Minute)
		}
	})
}
