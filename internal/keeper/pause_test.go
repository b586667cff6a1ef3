package keeper_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// stopFor pauses the daemon; 0 is until it is resumed.
func (l *lab) stopFor(d time.Duration) {
	l.Helper()
	p := keeper.Pause{Since: l.wall()}
	if d > 0 {
		p.Until = l.wall().Add(d)
	}
	if err := l.Store.Pause(context.Background(), p); err != nil {
		l.Fatal(err)
	}
	l.took()
}

// While it is paused the daemon asks nobody and changes nothing, whatever happens; at the end it catches up.
func TestPauseEnds(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		d.stopFor(2 * time.Hour)
		asked := len(d.questions())
		d.v4(at(office))
		d.hint(ipwatch.HintRoute)
		d.ticks(time.Hour)
		d.sleep(59*time.Minute + 59*time.Second)
		if calls := l.took(); len(calls) > 0 || len(d.questions()) != asked {
			t.Errorf("paused, and it called %v and asked %d times", calls, len(d.questions())-asked)
		}
		d.want("rules", l.rules(), "sgr-1-1 192.0.2.1/32:22 mine")
		d.sleep(time.Second)
		d.want("at the end of the pause", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// Nothing has told of a change: at the end the address is looked at all the same.
func TestPauseWithoutHints(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.sleep(time.Minute)
		d.stopFor(time.Hour)
		d.v4(at(office))
		d.sleep(time.Hour + time.Second)
		d.want("at the end of the pause", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		d.stop()
	})
}

// A person resumes: the daemon goes on within a minute, and the person's own round at once.
func TestResume(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.stopFor(0)
		d.v4(at(office))
		d.hint(ipwatch.HintRoute)
		d.sleep(100 * time.Hour)
		if calls := l.took(); len(calls) > 0 {
			t.Fatalf("paused, and it called %v", calls)
		}
		if was, err := l.Store.Resume(context.Background()); !was || err != nil {
			t.Fatalf("resume: %v, %v", was, err)
		}
		d.sleep(keeper.PausePoll)
		if rules := l.rules(); len(rules) != 1 || !strings.HasPrefix(rules[0], "sgr-1") || !strings.Contains(rules[0], office) {
			t.Errorf("a minute after it was resumed: %v", rules)
		}
		if was, err := l.Store.Resume(context.Background()); was || err != nil {
			t.Errorf("resumed twice: %v, %v", was, err)
		}
		d.stop()
	})
}

// What a person asks for is done while the daemon is paused, and the pause goes on.
func TestPauseAndPeople(t *testing.T) {
	inLab(t, func(l *lab) {
		d := l.run()
		d.stopFor(time.Hour)
		d.v4(at(office))
		l.good(keeper.Request{})
		d.want("after a sync", l.rules(), "sgr-1-1 192.0.2.2/32:22 mine")
		l.good(keeper.Request{Release: true})
		d.want("after a revoke", l.rules())
		d.hint(ipwatch.HintRoute)
		d.sleep(59 * time.Minute)
		d.want("the daemon has not put it back", l.rules())
		d.sleep(time.Minute)
		if rules := l.rules(); len(rules) != 1 {
			t.Errorf("after the pause: %v", rules)
		}
		d.stop()
	})
}

// A pause survives a restart and the loss of the state; a file that cannot be read counts as one.
func TestPauseIsKept(t *testing.T) {
	inLab(t, func(l *lab) {
		l.good(keeper.Request{})
		l.stopFor(time.Hour)
		l.loseState()
		d := l.run()
		d.sleep(59 * time.Minute)
		if calls := l.took(); len(calls) > 0 {
			t.Errorf("it called %v", calls)
		}
		d.stop()
		if err := os.WriteFile(l.Store.Path("paused.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if p := l.Store.Paused(l.wall()); p == nil || p.Problem == "" || !p.Until.IsZero() {
			t.Errorf("a damaged file: %+v", p)
		}
		d = l.run()
		d.sleep(48 * time.Hour)
		if calls := l.took(); len(calls) > 0 {
			t.Errorf("a damaged file, and it called %v", calls)
		}
		d.stop()
		if err := os.Chmod(l.Store.Path("paused.json"), 0o666); err != nil {
			t.Fatal(err)
		}
		if p := l.Store.Paused(l.wall()); p == nil {
			t.Error("a file that others may have written ends a pause")
		}
		files, err := os.ReadDir(l.Store.Dir())
		if err != nil || slices.ContainsFunc(files, func(f os.DirEntry) bool { return strings.HasPrefix(f.Name(), ".state-") }) {
			t.Errorf("left behind: %v, %v", files, err)
		}
	})
}
