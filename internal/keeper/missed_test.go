package keeper_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// A command for one target leaves the others to the daemon, which sees that their rules are not where they belong.
func TestOneTargetMovedByCommand(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = []keeper.Target{target("j-1"), target("j-2")}
		d := l.run()
		d.sleep(time.Minute)
		l.v4(at(office))
		command := l.laptop(l.Store.Dir())
		command.Targets = l.Targets
		if _, err := command.Round(context.Background(), keeper.Request{Targets: l.Targets[1:]}); err != nil {
			t.Fatal(err)
		}
		d.hint(ipwatch.HintAddress)
		d.sleep(5 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine", "sgr-2-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// A daemon that is told how changes are noticed ends at once, though a command is in the middle of a round.
func TestStopWhileNoticing(t *testing.T) {
	inLab(t, func(l *lab) {
		said := []string{"first"}
		l.Noticing = func() []string { return said }
		d := l.run()
		d.sleep(time.Minute)
		unlock, err := l.Store.Lock(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		said = []string{"second"}
		d.hint(ipwatch.HintStatus)
		d.sleep(time.Second)
		d.cancel()
		d.sleep(time.Second)
		select {
		case err := <-d.done:
			if err != nil {
				t.Error(err)
			}
			unlock()
		default:
			t.Error("the loop waits for the command")
			unlock()
			<-d.done
		}
	})
}

// A command that was killed before its write leaves a change that the daemon makes at the next hint.
func TestCommandKilledBeforeItsWrite(t *testing.T) {
	for _, between := range []bool{false, true} {
		inLab(t, func(l *lab) {
			l.good(keeper.Request{})
			time.Sleep(time.Minute)
			l.good(keeper.Request{}) // none is due for a while
			l.v4(at(office))
			l.took()
			l.kill(keeper.Request{}, 3, false) // open, resolve, rules, modify
			time.Sleep(sgsync.AttemptTimeout + sgsync.Sigma)
			want := []string{"sgr-1-1 192.0.2.2/32:22 mine"}
			if between { // a round for another target does not make up for it
				l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
				l.good(keeper.Request{Targets: []keeper.Target{as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour).Round(0) })}})
				want = append(want, "sgr-2-1 192.0.2.2/32:22 mine")
			}
			l.good(keeper.Request{Check: true, Event: true})
			l.want("rules", l.rules(), want...)
		})
	}
}

// IPv6 is wanted since the last look: that is no look at IPv4, and a hint that waits is not answered by it.
func TestRecallLacksIPv6(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8::10")
		d.sleep(time.Until(l.state().Status.NextRound) - 1500*time.Millisecond)
		d.hint(ipwatch.HintLink)
		d.sleep(500 * time.Millisecond)
		l.v4(at(office))
		d.hint(ipwatch.HintLink) // not before two seconds after the last look
		d.sleep(5 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// An IPv6 answer that comes too late for a check is asked for again soon: the address may have changed.
func TestCheckIPv6Late(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8::10")
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		d := l.run()
		d.sleep(time.Minute)
		l.net.be(ipwatch.V6, at("2001:db8::2"))
		l.net.delay(ipwatch.V6, 2*keeper.PatienceV6)
		d.hint(ipwatch.HintAddress)
		d.sleep(3 * time.Second)
		l.net.delay(ipwatch.V6, 0)
		d.sleep(5 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-1-2 2001:db8::2/128:22 mine")
		d.stop()
	})
}

// What is asked for is no news about the network: a look that was on its way does not answer it.
func TestLookAnswersNoSignIn(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = []keeper.Target{as(target("j-1"), func(t *keeper.Target) { t.Profile = "expired" }), target("j-2")}
		l.world.users["expired"] = l.world.users[""]
		var signedIn bool
		l.world.failWith(func(ctx context.Context, call string) error {
			switch {
			case call == "open expired|" && !signedIn:
				return errBroken
			case call == "resolve j-2":
				time.Sleep(keeper.AskAgain + time.Second) // the look begins anew after it
			}
			return nil
		})
		d := l.run()
		d.sleep(30 * time.Minute) // tries are rare by now
		d.sleep(time.Until(l.state().Status.NextRound) + 5*time.Second)
		signedIn = true
		d.hint(ipwatch.HintAsked)
		d.sleep(40 * time.Second)
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-2-1 192.0.2.1/32:22 mine")
		d.stop()
	})
}

// An event between the look and the first write is heard: the address that is written is not of the network before it.
func TestEventBeforeWrite(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		l.v4(at(train))
		l.world.failWith(func(_ context.Context, call string) error {
			if strings.HasPrefix(call, "open") {
				time.Sleep(time.Second)
			}
			return nil
		})
		d.hint(ipwatch.HintAddress)
		d.sleep(500 * time.Millisecond)
		l.v4(at(office))
		d.hint(ipwatch.HintAddress)
		d.sleep(5 * time.Second)
		l.want("writes", writes(l.took()), "authorize sg-1 192.0.2.1/32 22", "modify sgr-1-1 192.0.2.2/32")
		d.stop()
	})
}

// A confirmation in the future, by a clock that has been put right since, does not prolong the lapse.
func TestClockWasAhead(t *testing.T) {
	inLab(t, func(l *lab) {
		l.ahead.Store(int64(48 * time.Hour))
		l.good(keeper.Request{})
		l.ahead.Store(0)
		l.v4(sight{state: ipwatch.Offline})
		for range 26 {
			l.round(keeper.Request{})
			time.Sleep(time.Hour)
		}
		for key, mem := range l.state().Families {
			if mem.Confirmed.After(time.Now().Add(-25 * time.Hour)) {
				t.Errorf("%s was confirmed %v ago", key, time.Since(mem.Confirmed))
			}
		}
	})
}

// A session to a cluster that is not in the configuration is watched for from its beginning.
func TestReachingOfOtherProcess(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets = []keeper.Target{as(target("j-1"), func(t *keeper.Target) { t.Local = true })}
		l.good(keeper.Request{})
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		command := l.laptop(l.Store.Dir())
		command.Targets = l.Targets
		until := as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour).Round(0) })
		if _, err := command.Round(context.Background(), keeper.Request{Targets: []keeper.Target{until}}); err != nil {
			t.Fatal(err)
		}
		if r := l.Reaching(); !r.Public || len(r.Nodes) != 2 {
			t.Errorf("reaching %+v", r)
		}
	})
}

// Where the address is not known nothing can be written, so no call to AWS, which may hang there, is waited for.
func TestUnknownCallsNobody(t *testing.T) {
	for _, failed := range []bool{false, true} { // the last round, for want of a network
		inLab(t, func(l *lab) {
			d := l.run()
			d.sleep(time.Minute)
			hang := func(ctx context.Context, _ string) error {
				select {
				case <-time.After(10 * time.Second):
				case <-ctx.Done():
				}
				return errBroken
			}
			if failed {
				l.world.failWith(failing("rules", errBroken))
				d.sleep(keeper.MaxNext)
				d.sleep(time.Until(l.state().Status.NextRound) + 10*time.Second) // none is due for a while
				if l.state().Failures == 0 {
					t.Fatal("no failure")
				}
			}
			l.world.failWith(hang)
			l.v4(sight{state: ipwatch.Captive})
			if failed {
				l.v4(sight{state: away})
			}
			d.hint(ipwatch.HintAddress)
			d.sleep(3 * time.Second)
			l.world.failWith(nil)
			l.v4(at(office))
			back := time.Since(d.start)
			d.hint(ipwatch.HintAddress)
			d.sleep(ipwatch.LookSpacing)
			if got := d.instants("modify"); len(got) != 1 || got[0] > back+ipwatch.LookSpacing {
				t.Errorf("failed %v: moved at %v, and the network was back at %v", failed, got, back)
			}
			d.stop()
		})
	}
}
