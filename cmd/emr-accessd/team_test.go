package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestTeam is the lease protocol as a whole: several installations of the same and of different users, each the
// real keeper with the real SDK, share one security group of the simulated AWS. They join, move, sleep between a
// read and its write, are killed at any call, come back with or without their state, lose answers, are throttled,
// read what is stale, and have wrong clocks; an administrator acts beside them. Each call is held up on its own,
// so that calls interleave one by one, in virtual time. What must hold is in team_rules_test.go.
//
//	go test ./cmd/emr-accessd -run TestTeam -rapid.checks=100000    looks for as long as you like
//
// It runs in two halves side by side, with the given number of checks each.
func TestTeam(t *testing.T) {
	teamEnv(t)
	var failed [2]atomic.Bool // when one half has failed, the other need not go on
	for half := range failed {
		t.Run(fmt.Sprint(half), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				script := drawTeam(rt)
				if failed[1-half].Load() && !failed[half].Load() { // what this half has found, it must find again
					return
				}
				var wrong string
				synctest.Test(t, func(t *testing.T) { wrong = newTeam(t, script).run() })
				if wrong != "" {
					failed[half].Store(true)
					rt.Fatalf("%s", wrong)
				}
			})
		})
	}
}

// teamUsers may appear twice: only installations of one user may move each other's rules.
var teamUsers = []string{"alice", "alice", "bob", "alice", "carol"}

// teamEnv gives every user credentials of his own.
func teamEnv(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	for _, u := range teamUsers {
		fmt.Fprintf(&b, "[%s]\naws_access_key_id = AKIA%s\naws_secret_access_key = test\n", u, strings.ToUpper(u))
	}
	if err := os.WriteFile(filepath.Join(dir, "credentials"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"), "AWS_CONFIG_FILE": filepath.Join(dir, "none"),
		"AWS_REGION": "us-east-1", "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": "", "AWS_CA_BUNDLE": ""} {
		t.Setenv(name, value)
	}
}

// teamScript is one schedule. Choices are small numbers in lists, so that they shrink; a list that is used up
// means "quickly, and nothing fails".
type teamScript struct {
	Laptops []laptopScript
	Admin   []adminStep
	Strays  []int // what is in the group at the start
}

type laptopScript struct {
	User, Where int
	Skew        time.Duration // the laptop's clock against AWS's
	Steps       []teamStep
	Wire        []int // what happens to each call, see teamWire
	Naps        []int // what happens each time the clock is looked at: the laptop may sleep there
}

type teamStep struct {
	After time.Duration
	Do    teamDo
	Where int
	Span  time.Duration
}

type adminStep struct {
	After time.Duration
	Do    int
	Where int
}

type teamDo int

const (
	doMove teamDo = iota
	doLook        // a round for no reason
	doOffline
	doSleep
	doKill       // killed at one of the next calls, back after the span
	doKillForget // the same, and the state is lost
	doKillForGood
	doLeave // gives everything back, and comes back after the span
	doKinds
)

var (
	teamPauses = []time.Duration{0, time.Second, 3 * time.Second, 6 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, 45 * time.Second, 2 * time.Minute, 7 * time.Minute, 14 * time.Minute}
	teamSpans  = []time.Duration{time.Second, 12 * time.Second, time.Minute, 7 * time.Minute, 19 * time.Minute}
	teamSkews  = []time.Duration{0, 0, 0, time.Minute, -time.Minute, 2 * time.Hour, -2 * time.Hour, 80 * time.Hour}
)

// teamAddrs are few, so that laptops meet.
var teamAddrs = []string{"198.51.100.1", "198.51.100.2", "198.51.100.1", "198.51.100.2", "198.51.100.3"}

// roughWire has more of what is slow or lost, by what the wire would do otherwise.
var roughWire = [wireKinds]int{8: 11, 9: 16, 10: 17, 11: 16, 12: 17, 13: 18, 14: 19, 15: 16, 16: 18, 17: 19, 18: 18, 19: 19}

func drawTeam(t *rapid.T) teamScript {
	n := func(limit int, label string) int { return spread(rapid.IntRange(0, 1<<12).Draw(t, label), limit) }
	var s teamScript
	long := func(limit, least, most int, label string) []int {
		list := rapid.SliceOfN(rapid.IntRange(0, 1<<12), least, most).Draw(t, label)
		for i, v := range list {
			list[i] = spread(v, limit)
		}
		return list
	}
	rough := n(4, "rough") == 0
	for range 2 + n(3, "laptops") {
		l := laptopScript{User: n(len(teamUsers), "user"), Where: n(len(teamAddrs), "where"), Skew: teamSkews[n(len(teamSkews), "skew")]}
		for range 2 + n(6, "steps") {
			l.Steps = append(l.Steps, teamStep{After: teamPauses[n(len(teamPauses), "after")], Do: teamDo(n(int(doKinds), "do")), Where: n(len(teamAddrs), "where"),
				Span: teamSpans[n(len(teamSpans), "span")]})
		}
		l.Wire = long(wireKinds, 20, 120, "wire")
		if rough { // faults that need several losses are hardly met where losses are rare
			for i, v := range l.Wire {
				l.Wire[i] = roughWire[v]
			}
		}
		l.Naps = long(napKinds, 20, 120, "naps")
		s.Laptops = append(s.Laptops, l)
	}
	for range n(3, "admin") {
		s.Admin = append(s.Admin, adminStep{After: teamPauses[n(len(teamPauses), "after")], Do: n(adminKinds, "do"), Where: n(len(teamAddrs)+1, "where")})
	}
	s.Strays = long(strayKinds, 0, 2, "strays")
	return s
}

// spread makes an even choice of a number that rapid draws, which are small ones mostly; 0 stays 0, where shrinking
// ends.
func spread(v, limit int) int { return int(uint32(v) * 2654435761 >> 12 % uint32(limit)) }
