package keeper_test

import (
	"context"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// The main job: an address is authorized once, and its rule follows it.
func TestRoundFollowsTheAddress(t *testing.T) {
	inLab(t, func(l *lab) {
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 add 192.0.2.1/32")
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		l.took()

		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 keep 192.0.2.1/32")
		l.want("writes of a second round", writes(l.took()))

		l.v4(at(office))
		rep := l.good(keeper.Request{})
		l.want("changes", did(rep), "j-1 sg-1 move 192.0.2.2/32")
		l.want("writes", writes(l.took()), "modify sgr-1-1 192.0.2.2/32")
		l.want("the same rule, moved", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		if c := rep.Targets[0].Groups[0].Changes[0]; c.From != "192.0.2.1/32" || c.Rule != "sgr-1-1" || !c.Firm {
			t.Errorf("move is reported as %+v", c)
		}
		if r := rep.Targets[0].Groups[0].Rules; len(r) != 1 || r[0].CIDR != "192.0.2.2/32" {
			t.Errorf("the report shows the rules of before the change: %+v", r)
		}
	})
}

func TestReportAfterAdd(t *testing.T) {
	inLab(t, func(l *lab) {
		public := l.world.put("sg-1", "0.0.0.0/0")
		rep := l.good(keeper.Request{})
		tr := rep.Targets[0]
		if !rep.Applied || !rep.Changed() || rep.Pending() || tr.Error != nil || tr.Cluster != "j-1" || tr.Identity.UserID != "AIDAALICE" {
			t.Errorf("report: %+v", rep)
		}
		if v := tr.Verdicts["ipv4"]; v.State != "confirmed" || v.Address != home || v.Why == "" {
			t.Errorf("verdict: %+v", v)
		}
		g := tr.Groups[0]
		l.want("public rules", g.Public, public)
		if g.Region != "eu-west-1" || len(g.Rules) != 1 || !g.Rules[0].Mine || !g.Rules[0].Leases[0].Firm {
			t.Errorf("group: %+v", g)
		}
		st := l.state().Status
		if !st.LastRound.Equal(time.Now()) || !st.Changed.Equal(time.Now()) || st.LastError != "" || len(st.Report.Targets) != 1 || st.Identity[0].Account != "111122223333" {
			t.Errorf("status: %+v", st)
		}
	})
}

// While nothing is known, nothing is opened, moved or removed, and the reason is told (I2).
func TestUnknownAddressChangesNothing(t *testing.T) {
	for _, state := range []ipwatch.State{ipwatch.Conflict, ipwatch.Unsure, ipwatch.Captive, ipwatch.SplitRoute, ipwatch.Offline} {
		t.Run(string(state), func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.v4(sight{state: state})
				if rep := l.good(keeper.Request{}); rep.Targets[0].Verdicts["ipv4"].State != string(state) || rep.Targets[0].Verdicts["ipv4"].Why == "" {
					t.Errorf("verdict: %+v", rep.Targets[0].Verdicts)
				}
				l.want("writes before anything is known", writes(l.took()))

				l.v4(at(home))
				l.good(keeper.Request{})
				l.world.put("sg-1", "192.0.2.99/32", bobs(-time.Hour)...) // ended: would go, were anything known
				l.took()
				l.v4(sight{state: state})
				l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 keep 192.0.2.1/32")
				l.want("writes", writes(l.took()))
			})
		})
	}
}

// An unknown address keeps its lease for twelve hours after it was last confirmed, then lets it lapse; the
// rule goes with it.
func TestUnknownAddressLapses(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Lease = 6 * time.Hour
		l.good(keeper.Request{})
		l.took()
		l.v4(sight{state: ipwatch.Offline})
		renewed := time.Duration(0)
		for age := range 20 {
			time.Sleep(time.Hour)
			l.good(keeper.Request{})
			if w := writes(l.took()); len(l.rules()) == 0 {
				if age+1 <= 12 || len(w) > 0 && w[0] != "revoke sgr-1-1" {
					t.Errorf("hour %d: %v", age+1, w)
				}
			} else if len(w) > 0 {
				l.want("writes", w, "tag sgr-1-1")
				renewed = time.Duration(age+1) * time.Hour
			}
		}
		if renewed == 0 || renewed > 12*time.Hour {
			t.Errorf("the lease was last renewed %v after the address was", renewed)
		}
		l.want("rules", l.rules())
		l.v4(at(home))
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 add 192.0.2.1/32")
	})
}

// A check costs no AWS call while the address is the same and nothing is due.
func TestCheck(t *testing.T) {
	inLab(t, func(l *lab) {
		check := keeper.Request{Check: true}
		if rep := l.good(check); !rep.Applied {
			t.Error("the first check is a round")
		}
		time.Sleep(11 * time.Second) // the look at what was written
		l.good(check)
		l.took()
		for range 20 {
			time.Sleep(30 * time.Second)
			if rep := l.good(check); rep.Applied || len(rep.Targets) != 1 {
				t.Fatalf("a check without a change: %+v", rep)
			}
		}
		l.want("calls", l.took())
		asked := len(l.net.asked)
		l.v4(at(office))
		if rep := l.good(check); !rep.Applied {
			t.Error("a changed address is a round")
		}
		l.want("writes", writes(l.took()), "modify sgr-1-1 192.0.2.2/32")
		if n := len(l.net.asked) - asked; n != 1 {
			t.Errorf("the address was asked for %d times", n)
		}
		if c := l.state().Families; len(c) != 2 {
			t.Errorf("memory: %+v", c)
		}
	})
}

// A check confirms the address all the same: the twelve hours count from the last one.
func TestCheckConfirms(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(11 * time.Second)
		l.good(keeper.Request{})
		time.Sleep(9 * time.Minute)
		l.good(keeper.Request{Check: true})
		for key, mem := range l.state().Families {
			if mem.State == "confirmed" && !mem.Confirmed.Equal(time.Now()) {
				t.Errorf("%s was confirmed at %v, not now", key, mem.Confirmed)
			}
		}
	})
}

func TestDryRunWritesNothing(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		mine := l.world.put("sg-1", "192.0.2.7/32", bobs(-time.Hour)...)
		before, _ := l.Store.Load()
		l.took()
		l.v4(at(office))
		tmp := as(target("j-2"), func(t *keeper.Target) { t.Until = time.Now().Add(time.Hour) })
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		rep := l.good(keeper.Request{DryRun: true, Targets: []keeper.Target{l.Targets[0], tmp}})
		l.want("writes", writes(l.took()))
		l.want("changes", did(rep), "j-1 sg-1 move 192.0.2.2/32", "j-1 sg-1 remove 192.0.2.7/32", "j-2 sg-2 add 192.0.2.2/32")
		var calls []string
		for _, tr := range rep.Targets {
			for _, c := range tr.Groups[0].Changes {
				calls = append(calls, c.Call)
			}
		}
		l.want("exact calls", calls, "ec2:ModifySecurityGroupRules sg-1 sgr-1-1: 192.0.2.1/32 to 192.0.2.2/32",
			"ec2:RevokeSecurityGroupIngress sg-1 "+mine, "ec2:AuthorizeSecurityGroupIngress sg-2 tcp 22 192.0.2.2/32")
		if rep.Applied || !rep.Pending() || rep.Changed() {
			t.Errorf("a dry run is applied %v, pending %v, changed %v", rep.Applied, rep.Pending(), rep.Changed())
		}
		after, _ := l.Store.Load()
		l.want("the state", []string{asJSON(t, after)}, asJSON(t, before))
	})
}

func TestDryRunJoin(t *testing.T) {
	inLab(t, func(l *lab) {
		id := l.world.put("sg-1", home+"/32", bobs(time.Hour)...)
		c := l.good(keeper.Request{DryRun: true}).Targets[0].Groups[0].Changes[0]
		if want := "ec2:CreateTags " + id + " " + l.key(); c.Do != "join" || len(c.Call) < len(want) || c.Call[:len(want)] != want {
			t.Errorf("join: %+v", c)
		}
		l.want("writes", writes(l.took()))
	})
}

// IPv6 has its own rule; where no node has it, nobody asks for it.
func TestFamilies(t *testing.T) {
	inLab(t, func(l *lab) {
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-1-2 2001:db8::1/128:22 mine")

		l.net.be(ipwatch.V6, sight{state: ipwatch.Offline})
		l.v4(at(office))
		l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 move 192.0.2.2/32", "j-1 sg-1 keep 2001:db8::1/128")
	})
	inLab(t, func(l *lab) { // the node has no IPv6
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.good(keeper.Request{})
		rep := l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		if v := rep.Targets[0].Verdicts["ipv6"]; v.State != "absent" || l.net.asked6 != 1 {
			t.Errorf("asked %d times, %+v", l.net.asked6, v)
		}
	})
	inLab(t, func(l *lab) { // the opted-in /64
		l.Prefix6 = 64
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-1-2 2001:db8::/64:22 mine")
	})
}

// IPv4 does not wait for IPv6, which some networks drop without a word.
func TestSlowIPv6(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.net.slow[ipwatch.V6] = 5 * time.Second
		l.net.slow[ipwatch.V4] = 200 * time.Millisecond
		start := time.Now()
		rep := l.good(keeper.Request{})
		if took := time.Since(start); took != 200*time.Millisecond+keeper.PatienceV6 {
			t.Errorf("the round took %v", took)
		}
		l.want("changes", did(rep), "j-1 sg-1 add 192.0.2.1/32")
	})
}

// Where IPv4 asks nobody, nothing waits for IPv6 but IPv6 itself: a far-away network has the time that it needs.
func TestSlowIPv6Alone(t *testing.T) {
	for _, four := range []sight{{state: away}, {state: off}} {
		inLab(t, func(l *lab) {
			l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
			l.v4(four)
			l.net.be(ipwatch.V6, at("2001:db8::1"))
			l.net.delay(ipwatch.V6, 2*keeper.PatienceV6)
			l.want("changes", did(l.good(keeper.Request{})), "j-1 sg-1 add 2001:db8::1/128")
		})
	}
}

// A family that is gone for ten minutes is given up, not sooner: a train has tunnels.
func TestAbsentFamily(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.good(keeper.Request{})
		time.Sleep(11 * time.Second)
		l.good(keeper.Request{})
		l.net.be(ipwatch.V6, sight{state: ipwatch.Absent})
		l.took()
		l.good(keeper.Request{Check: true})
		time.Sleep(10*time.Minute - time.Second)
		l.good(keeper.Request{Check: true})
		l.want("writes before ten minutes", writes(l.took()))
		time.Sleep(time.Second)
		l.good(keeper.Request{Check: true})
		l.want("writes at ten minutes", writes(l.took()), "revoke sgr-1-2")
	})
}

func TestCancelledRound(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		before := l.state()
		l.v4(at(office))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		l.world.fail = func(ctx context.Context, call string) error {
			if call == "rules sg-1" {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		start := time.Now()
		rep, err := l.Round(ctx, keeper.Request{})
		if err != nil || rep.Failed() == nil || time.Since(start) != time.Minute {
			t.Errorf("cancelled after %v: %v, %v", time.Since(start), err, rep.Failed())
		}
		st := l.state()
		if st.Failures != 0 || st.Status.LastError != "" || !st.Status.NextRound.IsZero() || st.Status.LastRound != before.Status.LastRound {
			t.Errorf("a round that was cut short counts as a failure: %+v", st.Status)
		}
	})
}
