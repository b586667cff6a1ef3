package keeper_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// remembers reports whether it is noted for open sessions that something was given back.
func (l *lab) remembers() bool {
	_, err := os.Stat(l.Store.Path("revoked.json"))
	return err == nil
}

// A session that flags have led to another port, account or group of a target is meant too when that target is revoked. The
// daemon brings back what the configuration wants, which is not what the session has.
func TestRevokedBesideTheTarget(t *testing.T) {
	for name, change := range map[string]func(*keeper.Target){
		"port":   func(t *keeper.Target) { t.Port = 2222 },
		"local":  func(t *keeper.Target) { t.Local = true },
		"group":  func(t *keeper.Target) { t.Group = "additional" },
		"nodes":  func(t *keeper.Target) { t.Nodes = []string{"core"} },
		"region": func(t *keeper.Target) { t.Region = "eu-west-1" },
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				defer l.session()()
				conf := l.Targets[0]
				mine := as(conf, change)
				l.round(keeper.Request{Targets: []keeper.Target{mine}})
				l.good(keeper.Request{Targets: []keeper.Target{conf}, Release: true})
				if err := l.follow(mine); !errors.Is(err, keeper.ErrRevoked) {
					t.Errorf("a session after a revoke: %v", err)
				}
				l.good(keeper.Request{})
				if err := l.follow(mine); !errors.Is(err, keeper.ErrRevoked) {
					t.Errorf("after the daemon's round: %v", err)
				}
				if err := l.follow(conf); err != nil {
					t.Errorf("a session to what the configuration wants: %v", err)
				}
				l.round(keeper.Request{Targets: []keeper.Target{mine}})
				if err := l.follow(mine); errors.Is(err, keeper.ErrRevoked) {
					t.Error("a session after somebody has connected again is held back")
				}
			})
		})
	}
}

func TestRevokedPort(t *testing.T) {
	inLab(t, func(l *lab) {
		defer l.session()()
		conf := l.Targets[0]
		mine := as(conf, func(t *keeper.Target) { t.Port = 2222 })
		l.good(keeper.Request{Targets: []keeper.Target{mine}})
		l.good(keeper.Request{Targets: []keeper.Target{conf}, Release: true})
		_ = l.follow(mine)
		l.want("rules", l.rules())
	})
}

// That the daemon looks after what could not be given back is nobody's word that a session may have it again.
func TestRevokedHalf(t *testing.T) {
	inLab(t, func(l *lab) {
		defer l.session()()
		mine := as(temporary("j-1"), func(t *keeper.Target) { t.Port = 2222 })
		l.good(keeper.Request{Targets: []keeper.Target{mine}})
		l.world.failWith(failing("revoke", errThrottled))
		l.round(keeper.Request{Release: true})
		l.world.failWith(nil)
		l.good(keeper.Request{})
		if err := l.follow(mine); !errors.Is(err, keeper.ErrRevoked) {
			t.Error(err)
		}
	})
}

// A revoke of everything is about every session, also one whose rule the daemon has given back before, and after the state or the
// note itself was lost.
func TestRevokedWhenNothingIsKnown(t *testing.T) {
	for name, lose := range map[string]func(*lab) error{
		"the daemon was first": func(*lab) error { return nil },
		"the state is lost":    func(l *lab) error { return os.Remove(l.Store.Path("state.json")) },
		"the note is damaged":  func(l *lab) error { return os.WriteFile(l.Store.Path("revoked.json"), []byte("[{"), 0o600) },
		"the note is open":     func(l *lab) error { return os.Chmod(l.Store.Path("revoked.json"), 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				end := l.session()
				mine := temporary("j-2")
				l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
				l.good(keeper.Request{Targets: []keeper.Target{mine}})
				time.Sleep(2 * time.Hour)
				l.good(keeper.Request{})
				l.good(keeper.Request{Release: true})
				if err := lose(l); err != nil {
					t.Fatal(err)
				}
				mine.Until = time.Now().Add(time.Hour)
				if err := l.follow(mine); !errors.Is(err, keeper.ErrRevoked) {
					t.Error(err)
				}
				l.want("rules", l.rules())
				l.good(keeper.Request{Targets: []keeper.Target{mine}}) // a person connects again
				if err := l.follow(mine); err != nil {
					t.Error(err)
				}
				end()
				l.good(keeper.Request{})
				if l.remembers() {
					t.Error("remembered when the sessions are over")
				}
			})
		})
	}
}

// Who was promised a rule keeps it, also where the session that ends has read the state before.
func TestPromiseWhileASessionEnds(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		mine := temporary("j-1")
		l.good(keeper.Request{Targets: []keeper.Target{mine}})
		left := l.state().Temporary
		kept := as(mine, func(t *keeper.Target) {
			t.Lease, t.Until = 8*time.Hour, time.Now().Add(8*time.Hour)
			t.Kept = t.Until
		})
		l.good(keeper.Request{Targets: []keeper.Target{kept}})
		end := keeper.Request{Targets: left, Release: true, Session: true}
		l.good(end)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		time.Sleep(8*time.Hour - time.Minute)
		l.good(keeper.Request{})
		l.good(end)
		l.want("rules near the end", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		time.Sleep(2 * time.Minute)
		l.good(end)
		l.want("rules when the time is over", l.rules())
		l.took()
		l.good(end) // nothing is held any more
		l.want("calls", l.took())
	})
}

// A session that has slept past its target's time gives its rule back at its end, also when a round elsewhere was first.
func TestSessionThatSleptGivesBack(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = nil
		mine := temporary("j-1")
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		elsewhere := as(temporary("j-2"), func(t *keeper.Target) { t.Region = "eu-west-1"; t.Until = t.Until.Add(24 * time.Hour) })
		l.good(keeper.Request{Targets: []keeper.Target{mine}})
		time.Sleep(2 * time.Hour)
		l.round(keeper.Request{Targets: []keeper.Target{elsewhere}})
		l.good(keeper.Request{Targets: []keeper.Target{mine}, Release: true, Session: true})
		for _, rule := range l.rules() {
			if rule[:7] == "sgr-1-1" {
				t.Error("left: ", rule)
			}
		}
	})
}
