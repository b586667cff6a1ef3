package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

const (
	// teamLease is short, so that leases end within a schedule.
	teamLease = 12 * time.Minute
	// teamQuick is how long a round may take, in which nothing is slow.
	teamQuick = time.Minute
	// teamTick parts the instants of the laptops, so that no two act at the same one.
	teamTick = time.Millisecond
)

// team is everybody, with the group that they share.
type team struct {
	*testing.T
	sim     *awssim.Sim
	group   string
	laptops []*laptop
	admin   []adminStep
	dir     string

	mu    sync.Mutex // guards what follows, and makes a call and its judgement one
	story []string
	wrong string
	start time.Time
	busy  int             // scripts that have not ended
	calm  bool            // nothing fails any more
	swept map[string]bool // ids that the administrator has removed
}

func newTeam(t *testing.T, s teamScript) *team {
	t.Helper()
	w := &team{T: t, sim: awssim.New(awssim.Options{}), admin: s.Admin, start: time.Now(), swept: map[string]bool{}, busy: len(s.Laptops) + 1}
	w.group = w.sim.AddGroup(w.sim.AddVPC(false), "ElasticMapReduce-master", "x")
	w.sim.AddRule(w.group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.200/32"})
	w.sim.AddRule(w.group, awssim.RuleSpec{FromPort: 8443, ToPort: 8443, CIDR: "207.171.167.25/32"})
	for _, u := range teamUsers {
		w.sim.AddPrincipal("AKIA"+strings.ToUpper(u), awssim.Principal{UserID: "AIDA" + strings.ToUpper(u)})
	}
	for i, kind := range s.Strays { // where laptops come, or where nobody does
		w.stray(kind%4, []string{teamAddrs[i], fmt.Sprintf("198.51.100.%d", 200+i)}[kind/4])
	}
	dir, err := os.MkdirTemp("/dev/shm", "team") // in memory: thousands of states are synced
	if err != nil {
		dir, err = os.MkdirTemp("", "team")
	}
	if err != nil {
		t.Fatal(err)
	}
	w.dir = dir
	for i, l := range s.Laptops {
		w.laptops = append(w.laptops, newLaptop(w, i, l))
	}
	return w
}

const strayKinds = 8

// stray puts a rule into the group that was there before anybody came.
func (w *team) stray(kind int, addr string) {
	holder := sgsync.Holder{UserID: "AIDADAVE", Installation: "d"}
	spec := awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: addr + "/32", Tags: map[string]string{sgsync.OwnerTag: "AIDADAVE"}}
	lease := func(left time.Duration) string {
		return sgsync.FormatLease(w.start.Add(left), w.start.Add(-time.Hour), "dave@gone")
	}
	switch kind {
	case 0: // nobody's: it has no lease at all
	case 1: // of a laptop that is gone for good
		spec.Tags[holder.Key()] = lease(-time.Hour)
	case 2: // of one whose lease will end soon
		spec.Tags[holder.Key()] = lease(3 * time.Minute)
	case 3: // an administrator's own
		spec.Tags = nil
	}
	w.sim.AddRule(w.group, spec)
}

// run lets everybody live, and returns what went wrong, with the story.
func (w *team) run() string {
	defer os.RemoveAll(w.dir)
	var wg sync.WaitGroup
	for _, l := range w.laptops {
		wg.Go(l.live)
	}
	wg.Go(w.administer)
	wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong == "" {
		w.converged()
	}
	if w.wrong == "" {
		return ""
	}
	return w.wrong + "\n" + strings.Join(w.story, "\n")
}

const adminKinds = 3

// administer does what an administrator does by hand. Nobody is promised anything against that.
func (w *team) administer() {
	defer w.done()
	for _, s := range w.admin {
		time.Sleep(s.After + time.Duration(len(w.laptops)+1)*teamTick)
		w.mu.Lock()
		cidr := "198.51.100.9/32"
		if s.Where < len(teamAddrs) {
			cidr = teamAddrs[s.Where] + "/32"
		}
		rules := w.sim.Rules(w.group)
		at := slices.IndexFunc(rules, func(r awssim.Rule) bool { return r.FromPort == 22 && r.CIDR == cidr })
		switch {
		case s.Do == 0 && at < 0:
			w.sim.AddRule(w.group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: cidr, Description: "by hand"})
		case s.Do == 1 && at < 0: // a rule of ours without a lease
			w.sim.AddRule(w.group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: cidr, Tags: map[string]string{sgsync.OwnerTag: "AIDADAVE"}})
		case s.Do == 2 && at >= 0:
			w.sim.RemoveRule(rules[at].ID)
			w.swept[rules[at].ID] = true
			for _, l := range w.laptops {
				l.well = time.Now().Add(keeper.DriftCheck) // by then it has looked
				if l.claim.rule == rules[at].ID {
					l.claim = claim{}
				}
			}
		}
		w.tell("administrator: %d %s", s.Do, cidr)
		w.mu.Unlock()
	}
}

// done ends a script; when all have ended it is calm.
func (w *team) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy--; w.busy == 0 {
		w.calm = true
		w.sim.SetLag(2 * time.Second)
		w.tell("calm")
	}
}

func (w *team) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

// tell adds a line to the story. The caller holds the lock.
func (w *team) tell(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf("%10.3fs ", time.Since(w.start).Seconds())+fmt.Sprintf(format, args...))
}

// fault is the end: the first thing that went wrong counts. The caller holds the lock.
func (w *team) fault(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
		w.tell("WRONG: %s", w.wrong)
	}
}

// over reports whether something has gone wrong: the rest of the schedule tells nothing.
func (w *team) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong != ""
}

func (w *team) statePath(l *laptop) string { return filepath.Join(w.dir, fmt.Sprint(l.index)) }

// listing is the truth, one rule a line.
func (w *team) listing() string {
	var b strings.Builder
	for _, r := range w.sim.Rules(w.group) {
		fmt.Fprintf(&b, "\n  %s %d %s", r.ID, r.FromPort, r.CIDR)
		for _, k := range slices.Sorted(maps.Keys(r.Tags)) {
			fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(k, "emr-accessd-"), r.Tags[k])
		}
	}
	return b.String()
}
