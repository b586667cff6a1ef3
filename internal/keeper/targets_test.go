package keeper_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// One target that fails does not stop another, whatever fails.
func TestOneTargetFails(t *testing.T) {
	for what, breaks := range map[string]func(*lab){
		"lookup": func(l *lab) { delete(l.world.places, "j-bad") },
		"sign-in": func(l *lab) {
			l.Targets[0].Profile = "nobody"
		},
		"read":  func(l *lab) { l.world.fail = failing("rules sg-bad", errBroken) },
		"write": func(l *lab) { l.world.fail = failing("authorize sg-bad", errBroken) },
		"unstable identity": func(l *lab) {
			l.Targets[0].Profile = "role"
			l.world.users["role"] = keeper.Identity{Account: "111122223333", UserID: "AROAX:botocore-session-1", Unstable: true}
		},
		"account": func(l *lab) { l.Targets[0].Account = "999999999999" },
		"ended":   func(l *lab) { p := l.world.places["j-bad"]; p.Ended = true; l.world.places["j-bad"] = p },
		"private": func(l *lab) { l.world.cluster("j-bad", "sg-bad", "", "") },
	} {
		t.Run(what, func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.world.cluster("j-bad", "sg-bad", "203.0.113.66", "")
				l.Targets = []keeper.Target{target("j-bad"), target("j-1")}
				breaks(l)
				rep := l.round(keeper.Request{})
				if rep.Targets[0].Err == nil || *rep.Targets[0].Error == "" || rep.Targets[1].Err != nil || rep.Failed() == nil {
					t.Fatalf("errors: %v, %v", rep.Targets[0].Err, rep.Targets[1].Err)
				}
				l.want("changes", did(rep), "j-1 sg-1 add 192.0.2.1/32")
				l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
				if st := l.state(); (st.Failures != 1) != (what == "ended") || st.Status.LastError == "" {
					t.Errorf("status: %d failures, %q", st.Failures, st.Status.LastError)
				}
			})
		})
	}
}

// failing makes calls with a prefix fail before their effect.
func failing(prefix string, err error) func(context.Context, string) error {
	return func(_ context.Context, call string) error {
		if strings.HasPrefix(call, prefix) {
			return err
		}
		return nil
	}
}

// The kind of failure is told, so that the command can say what to do.
func TestErrorsOfTargets(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets[0].Account = "999999999999"
		err := l.round(keeper.Request{}).Failed()
		if acc, ok := errors.AsType[*keeper.AccountError](err); !ok || acc.Have != "111122223333" || acc.Want != "999999999999" {
			t.Errorf("pinned account: %v", err)
		}
		l.want("calls in the wrong account", l.took(), "open |")
		l.Targets[0].Account = "111122223333"
		l.good(keeper.Request{})
	})
	inLab(t, func(l *lab) {
		id := l.world.users[""]
		id.Unstable = true
		l.world.users[""] = id
		if err := l.round(keeper.Request{}).Failed(); !errors.Is(err, keeper.ErrUnstable) {
			t.Errorf("unstable identity: %v", err)
		}
		l.want("calls with an unstable identity", l.took(), "open |")
	})
	inLab(t, func(l *lab) {
		l.Targets = nil
		if _, err := l.Round(context.Background(), keeper.Request{}); !errors.Is(err, keeper.ErrNothing) {
			t.Errorf("no target: %v", err)
		}
	})
}

// A private node opens nothing, not even a trusted range; what was opened before is given back.
func TestPrivateNodes(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets[0].Trusted = prefixes("198.51.100.0/28", "2001:db8:ffff::/48")
		l.world.cluster("j-1", "sg-1", "", "")
		if err := l.round(keeper.Request{}).Failed(); !errors.Is(err, keeper.ErrPrivate) {
			t.Errorf("private: %v", err)
		}
		l.want("rules", l.rules())
	})
	inLab(t, func(l *lab) { // it had a public address
		l.Targets[0].Trusted = prefixes("198.51.100.0/28")
		l.good(keeper.Request{})
		l.world.cluster("j-1", "sg-1", "", "")
		for range 11 {
			l.round(keeper.Request{})
			time.Sleep(time.Minute)
		}
		l.want("rules", l.rules())
	})
	inLab(t, func(l *lab) { // reached over a VPN: the local address counts, and nobody is asked for another
		l.net.local = prefixes("172.16.0.9/32")[0].Addr()
		l.Targets[0].Local = true
		l.world.cluster("j-1", "sg-1", "", "")
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 172.16.0.9/32:22 mine")
		if len(l.net.asked)+l.net.asked6 > 0 {
			t.Error("echoes were asked for a target behind a VPN")
		}
	})
}

// A terminated cluster's rules are given back, and it is an error.
func TestEndedCluster(t *testing.T) {
	inLab(t, func(l *lab) {
		l.Targets[0].Trusted = prefixes("198.51.100.0/28")
		l.good(keeper.Request{})
		p := l.world.places["j-1"]
		p.Ended, p.Nodes, p.State = true, nil, "TERMINATED"
		l.world.places["j-1"] = p
		rep := l.round(keeper.Request{})
		if !errors.Is(rep.Failed(), keeper.ErrEnded) || rep.Targets[0].State != "TERMINATED" {
			t.Errorf("ended: %v", rep.Failed())
		}
		l.want("rules", l.rules())
	})
}

// EMR's default groups are shared by all clusters of a VPC.
func TestSharedGroup(t *testing.T) {
	second := as(target("j-2"), func(t *keeper.Target) { t.Trusted = prefixes("198.51.100.0/28", "198.51.100.77/32") })
	setup := func(l *lab) {
		l.world.cluster("j-2", "sg-1", "203.0.113.20", "")
		l.Targets = append(l.Targets, second, as(target("j-2"), func(t *keeper.Target) { t.Label, t.Port = "j-2 web", 8443 }))
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-1-2 198.51.100.0/28:22 mine", "sgr-1-3 198.51.100.77/32:22 mine", "sgr-1-4 192.0.2.1/32:8443 mine")
	}
	inLab(t, func(l *lab) {
		setup(l)
		if n := strings.Count(strings.Join(l.took(), "\n"), "rules sg-1"); n != 1 {
			t.Errorf("the group was read %d times", n)
		}
		l.v4(at(office)) // a round about the first alone keeps what the others want, and moves what they share
		l.good(keeper.Request{Targets: l.Targets[:1]})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine", "sgr-1-2 198.51.100.0/28:22 mine", "sgr-1-3 198.51.100.77/32:22 mine", "sgr-1-4 192.0.2.2/32:8443 mine")
	})
	inLab(t, func(l *lab) { // a target leaves the configuration: only what it alone wanted goes
		setup(l)
		l.Targets = l.Targets[:1]
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		if st := l.state(); len(st.Places) != 1 || len(st.Families) != 2 {
			t.Errorf("remembered: %+v %+v", st.Places, st.Families)
		}
	})
	inLab(t, func(l *lab) { // without the state, a round about one target does not know which groups the others use
		setup(l)
		before := l.rules()
		l.loseState()
		l.v4(at(office))
		l.good(keeper.Request{Targets: l.Targets[:1]})
		before[0] = "sgr-1-1 192.0.2.2/32:22 mine"
		l.want("rules", l.rules(), before...)
	})
}

// One target knows its address and another does not: the one's rule is opened, the other's is not given up.
func TestSharedGroupHalfKnown(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.cluster("j-2", "sg-1", "203.0.113.20", "")
		l.Targets = append(l.Targets, target("j-2"))
		l.good(keeper.Request{})
		l.v4(at(office))
		l.net.split["203.0.113.20"] = ipwatch.SplitRoute
		l.good(keeper.Request{})
		l.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine", "sgr-1-2 192.0.2.2/32:22 mine")
		for range 13 {
			time.Sleep(time.Hour)
			l.good(keeper.Request{})
		}
		l.want("rules after twelve hours", l.rules(), "sgr-1-2 192.0.2.2/32:22 mine")
	})
}

// Two targets in two regions and with two profiles are two clouds.
func TestRegionsAndProfiles(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.users["work"] = keeper.Identity{Account: "444455556666", UserID: "AIDAWORK"}
		l.world.regions["sg-2"] = "us-east-1"
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = append(l.Targets, as(target("j-2"), func(t *keeper.Target) { t.Profile, t.Region = "work", "us-east-1" }))
		rep := l.good(keeper.Request{})
		l.want("changes", did(rep), "j-1 sg-1 add 192.0.2.1/32", "j-2 sg-2 add 192.0.2.1/32")
		if g := rep.Targets[1].Groups[0]; g.Region != "us-east-1" || g.Rules[0].Owner != "AIDAWORK" {
			t.Errorf("group: %+v", g)
		}
		if ids := l.state().Status.Identity; len(ids) != 2 || ids[1].Account != "444455556666" {
			t.Errorf("identities: %+v", ids)
		}
	})
}

// A group is counted by the clusters that use it, those of targets that this round is not about too.
func TestClustersOfAGroup(t *testing.T) {
	inLab(t, func(l *lab) {
		uses := func(cluster, group string, clusters ...string) {
			p := l.world.places[cluster]
			p.Uses = map[string][]string{group: clusters}
			l.world.places[cluster] = p
		}
		l.world.cluster("j-2", "sg-1", "203.0.113.20", "")
		l.world.cluster("j-3", "sg-3", "203.0.113.30", "")
		uses("j-1", "sg-1", "j-1")
		uses("j-2", "sg-1", "j-2", "j-1")
		uses("j-3", "sg-3", "j-3")
		l.Targets = append(l.Targets, target("j-2"), target("j-3"))
		for _, req := range []keeper.Request{{}, {Targets: l.Targets[:1]}} {
			rep := l.good(req)
			l.want("clusters", rep.Targets[0].Groups[0].Clusters, "j-1", "j-2")
		}
		l.want("alone", l.good(keeper.Request{}).Targets[2].Groups[0].Clusters, "j-3")
	})
}
