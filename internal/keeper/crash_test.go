package keeper_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Nothing is written to AWS that is not on disk before.
func TestNoWriteWithoutARecord(t *testing.T) {
	inLab(t, func(l *lab) {
		l.world.fail = func(_ context.Context, call string) error {
			if call == "rules sg-1" { // a folder in its place: the state cannot be replaced any more
				return os.MkdirAll(l.Store.Path("state.json"), 0o700)
			}
			return nil
		}
		rep, err := l.Round(context.Background(), keeper.Request{})
		if err == nil || rep.Failed() == nil || !strings.Contains(rep.Failed().Error(), "record") {
			t.Errorf("round: %v, target: %v", err, rep.Failed())
		}
		l.want("writes", writes(l.took()))
		l.want("changes", did(rep))
	})
}

// scenario is a laptop before a round that changes something.
type scenario struct {
	name  string
	setup func(*lab)
	req   keeper.Request
}

var scenarios = []scenario{
	{"add", func(*lab) {}, keeper.Request{}},
	{"move", func(l *lab) {
		l.good(keeper.Request{})
		l.v4(at(office))
	}, keeper.Request{}},
	{"join and remove", func(l *lab) {
		l.good(keeper.Request{})
		l.world.put("sg-1", office+"/32", bobs(time.Hour)...)
		l.v4(at(office))
	}, keeper.Request{}},
	{"add and leave", func(l *lab) {
		l.world.put("sg-1", home+"/32", bobs(100*time.Hour)...)
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		l.v4(at(office))
	}, keeper.Request{}},
	{"both families, a trusted range and an ended lease", func(l *lab) {
		l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
		l.net.be(ipwatch.V6, at("2001:db8::1"))
		l.good(keeper.Request{})
		l.Targets[0].Trusted = prefixes("198.51.100.0/28")
		l.world.put("sg-1", "192.0.2.55/32", bobs(-time.Hour)...)
		l.v4(at(office))
		l.net.be(ipwatch.V6, at("2001:db8::2"))
	}, keeper.Request{}},
	{"renew", func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(13 * time.Hour)
	}, keeper.Request{}},
	{"release", func(l *lab) {
		l.Targets[0].Trusted = prefixes("198.51.100.0/28")
		l.world.put("sg-1", home+"/32", bobs(100*time.Hour)...)
		l.good(keeper.Request{})
	}, keeper.Request{Release: true}},
	{"two groups", func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = append(l.Targets, target("j-2"))
		l.good(keeper.Request{})
		l.world.put("sg-2", office+"/32", bobs(time.Hour)...)
		l.v4(at(office))
	}, keeper.Request{}},
	{"departed", func(l *lab) {
		l.world.cluster("j-2", "sg-1", "203.0.113.20", "")
		l.Targets = append(l.Targets, as(target("j-2"), func(t *keeper.Target) { t.Port = 8443 }))
		l.good(keeper.Request{})
		l.Targets = l.Targets[:1]
	}, keeper.Request{}},
	{"found by tag", func(l *lab) {
		l.world.cluster("j-2", "sg-2", "203.0.113.20", "")
		l.Targets = append(l.Targets, as(target("j-1"), func(t *keeper.Target) { t.Port = 8443 }), target("j-2"))
		l.good(keeper.Request{})
		l.Targets = l.Targets[:1]
		time.Sleep(time.Minute)
		l.loseState()
	}, keeper.Request{}},
	{"other groups of a target", func(l *lab) {
		l.good(keeper.Request{})
		l.world.cluster("j-1", "sg-2", "203.0.113.20", "")
	}, keeper.Request{}},
}

// Killed before or after any call, the next round ends in the same rules as if never killed (I6). A round that
// comes while the lost call may still act, or reads may still hide it, waits with what it cannot know: it covers
// the address, and the round that it asks for does the rest.
func TestKilledAnywhere(t *testing.T) {
	for _, s := range scenarios {
		for _, lag := range []time.Duration{0, 4 * time.Second} {
			t.Run(fmt.Sprintf("%s/reads %v old", s.name, lag), func(t *testing.T) {
				start := func(l *lab) {
					s.setup(l)
					time.Sleep(lag)
					l.world.lag = lag
					l.took()
				}
				var calls, want []string
				inLab(t, func(l *lab) {
					start(l)
					l.good(s.req)
					calls, want = l.took(), withoutIDs(l.rules())
				})
				for i := range 2 * len(calls) {
					for _, pause := range []time.Duration{time.Second, sgsync.AttemptTimeout + sgsync.Sigma} {
						if pause > sgsync.Sigma && lag > 0 {
							continue // reads have caught up by then
						}
						inLab(t, func(l *lab) {
							start(l)
							l.kill(s.req, i/2, i%2 == 1)
							when := fmt.Sprintf("killed at call %d of %q, after its effect: %v, next round after %v", i/2, calls, i%2 == 1, pause)
							time.Sleep(pause)
							l.good(s.req)
							if pause < sgsync.Sigma {
								l.settled(when, s.req, want)
							}
							l.want(when, withoutIDs(l.rules()), want...)
							time.Sleep(10 * time.Second)
							l.took()
							l.good(s.req)
							l.want("writes of one more round, "+when, writes(l.took()))
						})
					}
				}
			})
		}
	}
}

// What the disk makes of the lines that follow a state: what a power cut takes, and more.
var spoilt = map[string]func(log []byte) []byte{
	"the last answers are lost": func(log []byte) []byte {
		lines := bytes.SplitAfter(log, []byte("\n"))
		for n := len(lines) - 2; n >= 0 && !bytes.Contains(lines[n], []byte(`"maybe"`)); n-- {
			lines = lines[:n]
		}
		return bytes.Join(lines, nil)
	},
	"the last line is cut":  func(log []byte) []byte { return log[:len(log)-20] },
	"the last line is zero": func(log []byte) []byte { return append(log[:len(log)-20], make([]byte, 20)...) },
	"the first line is bad": func(log []byte) []byte { log[0] = '<'; return log },
	"half of it is there":   func(log []byte) []byte { return log[:len(log)/2] },
	"it is of another state": func(log []byte) []byte {
		return append([]byte(`{"state":"0","group":"sg-1","journal":[{"do":"remove","group":"sg-1","id":"sgr-1-1"}]}`+"\n"), log...)
	},
	"there is none": func([]byte) []byte { return nil }, // or an older program reads the state, and nothing else
}

// Killed anywhere, and the disk has spoilt what follows the state: still the rounds after it end in the same rules, and
// nobody takes the installation for a clone.
func TestKilledAndSpoilt(t *testing.T) {
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := 0
			for _, s := range scenarios {
				var calls, want []string
				inLab(t, func(l *lab) {
					s.setup(l)
					l.took()
					l.good(s.req)
					calls, want = l.took(), withoutIDs(l.rules())
				})
				if len(writes(calls)) < 2 {
					continue // the line of a single one comes after all calls
				}
				for i := range 2 * len(calls) {
					inLab(t, func(l *lab) {
						s.setup(l)
						before := l.key()
						l.kill(s.req, i/2, i%2 == 1)
						files := l.disk()
						if len(files["state.jsonl"]) == 0 {
							return
						}
						logs++
						if files["state.jsonl"] = spoil(files["state.jsonl"]); files["state.jsonl"] == nil {
							delete(files, "state.jsonl")
						}
						l.restore(files)
						when := fmt.Sprintf("%s, killed at call %d of %q, after its effect: %v, with %q", s.name, i/2, calls, i%2 == 1, files["state.jsonl"])
						time.Sleep(time.Second)
						l.good(s.req)
						l.settled(when, s.req, want)
						l.want(when, withoutIDs(l.rules()), want...)
						if l.key() != before {
							t.Errorf("%s: another installation", when)
						}
					})
				}
			}
			if logs < 15 {
				t.Errorf("only %d kills had lines to spoil", logs)
			}
		})
	}
}

// settled makes the rounds that the last one asked for, until the rules are as wanted. What is wanted stands
// from the beginning.
func (l *lab) settled(when string, req keeper.Request, want []string) {
	l.Helper()
	for range 3 {
		got := withoutIDs(l.rules())
		for _, line := range want {
			if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, line) || strings.Contains(line, "bob@desk") }) {
				l.Fatalf("%s: %s is missing in %q", when, line, got)
			}
		}
		if slices.Equal(got, want) {
			return
		}
		time.Sleep(time.Until(l.state().Status.NextRound))
		l.good(req)
	}
}

// A move that was cut off, an address that is back where it was, and reads that still show the rule there: it is
// not believed, and covered again as soon as the reads tell.
func TestKilledMoveAndBack(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		time.Sleep(time.Minute)
		l.world.lag = 8 * time.Second
		l.v4(at(office))
		l.took()
		l.kill(keeper.Request{}, 3, true) // after the rule was moved
		l.v4(at(home))
		time.Sleep(time.Second)
		l.good(keeper.Request{})
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
			l.good(keeper.Request{Check: true})
		}
		if r := l.rules(); !slices.ContainsFunc(r, func(s string) bool { return strings.HasSuffix(s, home+"/32:22 mine") }) {
			t.Errorf("rules: %q", r)
		}
	})
}

func withoutIDs(rules []string) (lines []string) {
	for _, r := range rules {
		_, line, _ := strings.Cut(r, " ")
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// kill makes a round that ends at its nth call, before its effect or after it: what is on disk and in AWS at
// that instant is all that is left of it.
func (l *lab) kill(req keeper.Request, n int, late bool) {
	l.Helper()
	var disk map[string][]byte
	var rules map[string]sgsync.Rule
	count := 0
	die := func() error { // the caller holds the world's lock
		l.world.halt = errBroken
		rules, disk = maps.Clone(l.world.rules), l.disk()
		return errBroken
	}
	l.world.fail = func(context.Context, string) error {
		l.world.mu.Lock()
		defer l.world.mu.Unlock()
		if l.world.halt == nil && count == n && !late {
			return die()
		}
		return nil
	}
	l.world.lose = func(string) error {
		l.world.mu.Lock()
		defer l.world.mu.Unlock()
		if l.world.halt == nil && count == n {
			return die()
		}
		count++
		return nil
	}
	_, _ = l.Round(context.Background(), req)
	l.world.fail, l.world.lose = nil, nil
	if l.world.halt == nil {
		return // what failed in time was not called at all
	}
	l.world.halt = nil
	if !reflect.DeepEqual(rules, l.world.rules) {
		l.Fatal("a dead process has changed rules")
	}
	l.restore(disk)
}

// stateFiles are all that a round saves before its end.
var stateFiles = []string{"state.json", "state.jsonl"}

// disk is what is in the state files.
func (l *lab) disk() map[string][]byte {
	files := map[string][]byte{}
	for _, name := range stateFiles {
		if data, err := os.ReadFile(l.Store.Path(name)); err == nil {
			files[name] = data
		}
	}
	return files
}

// restore makes the state files what they were.
func (l *lab) restore(files map[string][]byte) {
	l.Helper()
	for _, name := range stateFiles {
		_ = os.Remove(l.Store.Path(name))
		if data, ok := files[name]; !ok {
			continue
		} else if err := os.WriteFile(l.Store.Path(name), data, 0o600); err != nil {
			l.Fatal(err)
		}
	}
}

// The lines were torn, and reads lag: where a rule was before our last move must not be learnt as the place where we have put it.
// Nor is that forgotten when something else than a round saves the state first.
func TestTornLinesAndLag(t *testing.T) {
	for between, save := range map[string]func(*lab) error{
		"a round":      func(*lab) error { return nil },
		"a pause":      func(l *lab) error { return l.Store.Pause(context.Background(), keeper.Pause{Until: l.wall()}) },
		"close-public": func(l *lab) error { return l.Store.NotePublic("sg-1", "", "sgr-0") },
	} {
		for n := range 10 {
			t.Run(fmt.Sprintf("%s comes first/%d", between, n), func(t *testing.T) {
				inLab(t, func(l *lab) { afterTornLines(l, n, save) })
			})
		}
	}
}

func afterTornLines(l *lab, n int, save func(*lab) error) {
	l.world.cluster("j-1", "sg-1", "203.0.113.10", "2001:db8:1::10")
	l.net.be(ipwatch.V6, at("2001:db8::1"))
	l.good(keeper.Request{})
	key := l.key()
	l.v4(at(office))
	l.net.be(ipwatch.V6, at("2001:db8::2"))
	time.Sleep(time.Minute)
	l.kill(keeper.Request{}, n, true)
	files := l.disk()
	if lines := files["state.jsonl"]; len(lines) > 0 {
		files["state.jsonl"] = lines[:len(lines)/2]
	}
	l.restore(files)
	if err := save(l); err != nil {
		l.Fatal(err)
	}
	l.world.lag = 9 * time.Second
	time.Sleep(time.Second)
	l.round(keeper.Request{})
	for range 3 {
		time.Sleep(10 * time.Second)
		l.round(keeper.Request{})
		if l.key() != key {
			l.Fatalf("killed at %d: another installation", n)
		}
	}
}
