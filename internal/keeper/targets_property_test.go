package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"pgregory.net/rapid"
)

// Targets come and go, in the configuration and with sessions, clusters of a pattern change, and rounds are cut short, fail, or
// lose their state: what is wanted is open after each good round of all targets, nothing else is open in the end, and a
// revoke leaves nothing.
func TestTargetsOfAnyKind(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 12).Draw(rt, "steps")
		revoked := rapid.Bool().Draw(rt, "revoked in the end")
		lag := time.Duration(rapid.IntRange(0, 2).Draw(rt, "lag")) * 4 * time.Second
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			p := newTargets(newLab(t))
			p.world.lag = lag
			for i, s := range steps {
				if p.step(s); p.wrong != "" {
					wrong = fmt.Sprintf("step %d: %s", i, p.wrong)
					return
				}
			}
			if revoked {
				p.revoke()
			} else {
				p.calm()
			}
			wrong = p.wrong
		})
		if wrong != "" {
			rt.Fatalf("%s", wrong)
		}
	})
}

// step is a round with what comes before it. Choices are small numbers, so that they shrink.
type step struct {
	Pass   time.Duration
	Kind   int // of the round
	Which  int // target
	World  int // what becomes of the clusters
	Config int // the targets of the configuration, a set; 0 leaves it as it is
	Move   bool
	Clock  int  // how it is set, or for how long the laptop sleeps
	Lost   bool // the state
	Kill   int  // at which call the round is killed; 0 is not
	Late   bool // after its effect
	Fault  int  // which error the calls have that change something; 0 is none
	After  int  // how many succeed before it
}

func drawStep(t *rapid.T) step {
	n := func(limit int, label string) int { return rapid.IntRange(0, limit-1).Draw(t, label) }
	s := step{Pass: spans[n(len(spans), "pass")], Kind: n(10, "kind"), Which: n(4, "which"), World: n(16, "world"), Move: n(6, "move") == 5, Clock: n(10, "clock"), Lost: n(20, "lost") == 19}
	if n(4, "other configuration") == 3 {
		s.Config = 1 + n(15, "configuration")
	}
	switch n(4, "trouble") {
	case 1:
		s.Kill, s.Late = 1+n(12, "kill"), n(2, "late") == 1
	case 2:
		s.Fault, s.After = 1+n(3, "fault"), n(3, "after")
	}
	return s
}

var troubles = []error{nil, errThrottled, errLost, errBroken}

// several are the targets that there are.
func several() []keeper.Target {
	etl := as(target(""), func(t *keeper.Target) { t.Label, t.NamePattern = "etl", "etl" })
	return []keeper.Target{target("j-1"), as(target("j-2"), func(t *keeper.Target) { t.Port = 8443 }), target("j-3"), etl}
}

type targets struct {
	*lab
	wrong string
	key   string
	addr  string
}

func newTargets(l *lab) *targets {
	p := &targets{lab: l, addr: home}
	l.world.cluster("j-2", "sg-1", "203.0.113.20", "")
	l.world.cluster("j-3", "sg-3", "203.0.113.30", "")
	l.world.cluster("etl", "sg-4", "203.0.113.40", "")
	p.key = l.key()
	return p
}

func (p *targets) fault(format string, args ...any) {
	if p.wrong == "" {
		p.wrong = fmt.Sprintf(format, args...)
	}
}

func (p *targets) step(s step) {
	time.Sleep(s.Pass)
	if s.Clock > 2 {
		time.Sleep(p.world.lag) // whoever sleeps, or sets the clock by an hour, finds reads that have caught up
	}
	switch s.Clock {
	case 1, 2, 3, 4:
		p.ahead.Add(int64([]time.Duration{3 * time.Second, -3 * time.Second, time.Hour, -time.Hour}[s.Clock-1]))
	case 5, 6:
		p.suspend([]time.Duration{time.Minute, 30 * time.Hour}[s.Clock-5])
	}
	p.change(s)
	if s.Move {
		p.addr = map[string]string{home: office, office: home}[p.addr]
		p.v4(at(p.addr))
	}
	if s.Lost {
		_ = os.Remove(p.Store.Path("state.json"))
		time.Sleep(sgsync.W + sgsync.Sigma)
	}
	req := p.request(s)
	if s.Kill > 0 {
		p.kill(req, s.Kill-1, s.Late)
		return
	}
	p.trouble(s)
	if s.Kind > 7 {
		p.tidy(s.Kind == 8)
		return
	}
	rep, err := p.Round(context.Background(), req)
	p.world.fail, p.world.lose = nil, nil
	if err != nil && !errors.Is(err, keeper.ErrNothing) {
		p.fault("round: %v", err)
	}
	if err == nil && rep.Failed() == nil && !rep.Pending() && rep.Applied && !req.Release {
		p.open(req.Targets)
	}
}

// bob are the tags of a colleague's rule, by AWS's clock.
func (p *targets) bob(until time.Duration) []string {
	now := time.Now().Add(p.world.skew)
	h := sgsync.Holder{UserID: "AIDABOB", Installation: "b0b"}
	return []string{sgsync.OwnerTag, "AIDABOB", h.Key(), sgsync.FormatLease(now.Add(until), now, "bob@desk")}
}

// tidy does what commands do beside the rounds.
func (p *targets) tidy(ended bool) {
	var err error
	if ended {
		_, err = p.SweepEnded(context.Background(), keeper.SweepRequest{})
	} else {
		_, err = p.ReleaseMine(context.Background(), nil, false)
	}
	p.world.fail, p.world.lose = nil, nil
	if err != nil && !errors.Is(err, keeper.ErrNothing) {
		p.fault("tidying: %v", err)
	}
}

// change lets clusters end, and others come in their place.
func (p *targets) change(s step) {
	end := func(id string) {
		place := p.world.places[id]
		place.Ended, place.State, place.Nodes = true, "TERMINATED", nil
		p.world.places[id] = place
	}
	switch s.World {
	case 1:
		end("j-1")
	case 2:
		end("j-2")
	case 3:
		p.world.cluster("j-1", "sg-1", "203.0.113.10", "")
		p.world.cluster("j-2", "sg-1", "203.0.113.20", "")
	case 4, 5, 6:
		p.world.cluster("etl", []string{"sg-1", "sg-4", "sg-5"}[s.World-4], "203.0.113.40", "")
	case 7: // none matches
		p.world.places["etl"] = keeper.Place{}
	case 8, 9, 10: // a colleague is here, was here, or joins what is there
		group, until := []string{"sg-1", "sg-3", "sg-4", "sg-5"}[s.Which], map[int]time.Duration{8: 40 * time.Hour, 9: -time.Hour, 10: 40 * time.Hour}[s.World]
		bob := p.bob(until)
		if s.World < 10 && !p.world.taken(group, sgsync.NewRule{Port: 22, CIDR: prefixes(p.addr + "/32")[0]}, "") {
			p.world.put(group, p.addr+"/32", bob...)
		}
		for _, id := range slices.Sorted(maps.Keys(p.world.rules)) {
			if s.World == 10 && p.world.rules[id].Group == group {
				p.world.edit(id, func(r *sgsync.Rule) bool { r.Tags[bob[2]] = bob[3]; return true })
			}
		}
		time.Sleep(p.world.lag)
	case 11: // somebody deletes a rule
		if ids := slices.Sorted(maps.Keys(p.world.rules)); len(ids) > 0 {
			p.world.edit(ids[s.Which%len(ids)], func(*sgsync.Rule) bool { return false })
			time.Sleep(sgsync.W + sgsync.Sigma) // own writes are laid over what a read shows until then
		}
	}
	if s.Config > 0 {
		p.Targets = nil
		for i, t := range several() {
			if s.Config&(1<<i) != 0 {
				p.Targets = append(p.Targets, t)
			}
		}
	}
}

func (p *targets) request(s step) keeper.Request {
	t := several()[s.Which]
	tmp := as(t, func(t *keeper.Target) { t.Until = p.wall().Add(time.Hour) })
	if slices.ContainsFunc(p.Targets, t.Same) {
		tmp = t
	}
	switch s.Kind {
	case 1:
		return keeper.Request{Check: true, Event: s.Late}
	case 2:
		if !tmp.Until.IsZero() {
			tmp.Kept = tmp.Until
		}
		return keeper.Request{Targets: []keeper.Target{tmp}}
	case 3:
		return keeper.Request{Targets: []keeper.Target{tmp}}
	case 4:
		return keeper.Request{Targets: []keeper.Target{tmp}, Session: true}
	case 5:
		if !tmp.Until.IsZero() {
			return keeper.Request{Targets: []keeper.Target{tmp}, Session: true, Release: true}
		}
	case 6:
		return keeper.Request{Targets: []keeper.Target{tmp}, Release: true}
	case 7:
		return keeper.Request{Release: true}
	}
	return keeper.Request{}
}

// trouble lets a call fail that changes something, and all after it.
func (p *targets) trouble(s step) {
	n, err := 0, troubles[s.Fault]
	fails := func(call string) error {
		p.world.mu.Lock()
		defer p.world.mu.Unlock()
		if err == nil || len(writes([]string{call})) == 0 {
			return nil
		}
		if n++; n <= s.After {
			return nil
		}
		return err
	}
	if errors.Is(err, errLost) {
		p.world.lose = fails
	} else {
		p.world.fail = func(_ context.Context, call string) error { return fails(call) }
	}
}

// open checks that the targets of a good round are open to the address: nil is those of the configuration.
func (p *targets) open(ts []keeper.Target) {
	if ts == nil {
		ts = p.Targets
	}
	rules := p.rules()
	for _, want := range p.wanted(ts) {
		if !slices.ContainsFunc(rules, func(r string) bool { return r == want }) {
			p.fault("%s is not open: %q", want, rules)
		}
	}
}

// wanted tells the rules that targets need: "sg-1 192.0.2.1/32:22 mine".
func (p *targets) wanted(ts []keeper.Target) (lines []string) {
	for _, t := range ts {
		place := p.world.places[t.Cluster+t.NamePattern]
		for _, g := range place.Groups {
			if !place.Ended {
				lines = append(lines, fmt.Sprintf("%s %s/32:%d mine", g, p.addr, t.Port))
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// rules tells the own ones in the same words.
func (p *targets) rules() (lines []string) {
	for _, line := range p.lab.rules() {
		id, rest, _ := strings.Cut(line, " ")
		if rest, _, mine := strings.Cut(rest, " mine"); mine {
			lines = append(lines, "sg"+id[3:strings.LastIndex(id, "-")]+" "+strings.TrimSuffix(rest, " bob@desk")+" mine")
		}
	}
	slices.Sort(lines)
	return lines
}

// calm is a time when all goes well: what the configuration wants is open in the end, and nothing else.
func (p *targets) calm() {
	for _, pass := range []time.Duration{0, sgsync.W + sgsync.Sigma, time.Minute, 4 * time.Hour, sgsync.W + sgsync.Sigma} {
		time.Sleep(pass)
		if _, err := p.Round(context.Background(), keeper.Request{}); err != nil {
			p.fault("round: %v", err)
		}
	}
	if p.lab.key() != p.key {
		p.fault("another installation")
	}
	if got, want := p.rules(), p.wanted(p.Targets); !slices.Equal(got, want) {
		p.fault("in the end: %q, want %q", got, want)
	}
}

// revoke gives all back, at once and without a daemon.
func (p *targets) revoke() {
	rep, err := p.Round(context.Background(), keeper.Request{Release: true})
	if errors.Is(err, keeper.ErrNothing) {
		err = nil
	}
	if err != nil || rep.Failed() != nil {
		p.fault("revoke: %v, %v", err, rep.Failed())
	}
	if rules := p.rules(); len(rules) > 0 {
		p.fault("revoked: %q", rules)
	}
}
