package keeper

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/google/go-cmp/cmp"
)

func logStore(t testing.TB) *Store {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "keeper") // each line is synced
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write is a call that changes a group.
func (s *State) write(n int) (group string) {
	group = fmt.Sprintf("sg-%d", n%7)
	s.Journal = append(s.Journal, sgsync.Write{At: time.Unix(int64(n), 0).UTC(), Do: sgsync.Renew, Group: group, ID: fmt.Sprintf("sgr-%d", n), Maybe: true})
	return group
}

// byGroup lists the ids of the rules that were written to, in the order of the calls within a group.
func (s *State) byGroup() map[string][]string {
	groups := map[string][]string{}
	for _, w := range s.Journal {
		groups[w.Group] = append(groups[w.Group], w.ID)
	}
	return groups
}

func (s *Store) size(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(s.Path(name))
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// What is read back is what was saved, whole or by lines, and each line is only as long as its group's journal.
func TestLinesFollowTheState(t *testing.T) {
	s, st := logStore(t), newState()
	st.Status.LastError = strings.Repeat("long ", 4000)
	for n := range 60 {
		if err := s.saveJournal(st, st.write(n), n%2 == 0); err != nil {
			t.Fatal(err)
		}
		got, warning := s.Load()
		if warning != "" || got.Log != "" || got.Torn || got.Status.LastError != st.Status.LastError {
			t.Fatalf("after %d writes: %q, log %q, torn %v", n+1, warning, got.Log, got.Torn)
		}
		if diff := cmp.Diff(st.byGroup(), got.byGroup()); diff != "" {
			t.Fatalf("after %d writes (-saved +read):\n%s", n+1, diff)
		}
	}
	if whole, lines := s.size(t, stateFile), s.size(t, logFile); whole > 40_000 || lines == 0 || lines > logSize {
		t.Errorf("the state has %d bytes, the lines %d", whole, lines)
	}
	if err := s.Save(st); err != nil {
		t.Fatal(err)
	}
	if n := s.size(t, logFile); n != 0 {
		t.Errorf("a whole state leaves %d bytes of lines behind", n)
	}
}

// However many writes a round makes, the lines have an end.
func TestLinesAreFolded(t *testing.T) {
	s, st := logStore(t), newState()
	wholes, was := 0, ""
	for n := range 4000 {
		st.Journal = st.Journal[max(0, len(st.Journal)-50):]
		if err := s.saveJournal(st, st.write(n), false); err != nil {
			t.Fatal(err)
		}
		if size := s.size(t, logFile); size > logSize+10_000 {
			t.Fatalf("after %d writes, %d bytes", n, size)
		}
		if st.Log != was {
			was, wholes = st.Log, wholes+1
		}
	}
	if got, warning := s.Load(); warning != "" || got.Journal[len(got.Journal)-1].ID == "" {
		t.Errorf("%s, %v", warning, got.Journal)
	}
	if wholes < 2 || wholes > 10 {
		t.Errorf("saved whole %d times", wholes)
	}
}

// Where no line can be added, the whole state is saved; where that fails too, nothing may be called.
func TestNoLineCanBeAdded(t *testing.T) {
	s, st := logStore(t), newState()
	group := st.write(1)
	if err := s.saveJournal(st, group, true); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.Path(logFile+"/x"), 0o700); err != nil {
		t.Fatal(err)
	}
	first := st.Log
	if err := s.saveJournal(st, st.write(2), true); err != nil || st.Log == first {
		t.Errorf("%v, the state is %s still", err, st.Log)
	}
	if err := os.RemoveAll(s.Path(logFile)); err != nil {
		t.Fatal(err)
	}
	if got, warning := s.Load(); len(got.Journal) != 2 || warning != "" {
		t.Errorf("read %v, %s", got.Journal, warning)
	}
	for _, name := range []string{logFile, stateFile} {
		_ = os.Remove(s.Path(name))
		if err := os.MkdirAll(s.Path(name+"/x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.saveJournal(st, st.write(3), true); err == nil || st.Log != "" {
		t.Errorf("saved: %v; lines may follow %q", err, st.Log)
	}
}

// Lines that cannot be read are made up for by a second look. Only those of another state, and none at all, tell nothing.
func TestLinesThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		spoil         func(log string) string
		torn, warning bool
		journal       int
	}{
		"whole":                 {func(s string) string { return s }, false, false, 3},
		"empty":                 {func(string) string { return "" }, false, false, 1},
		"no end":                {func(s string) string { return s[:len(s)-1] }, true, false, 2},
		"zeros":                 {func(s string) string { return s + "\x00\x00\x00" }, true, false, 3},
		"garbage in the middle": {func(s string) string { return strings.Replace(s, "\n", "\n<\n", 1) }, true, true, 2},
		"another kind":          {func(s string) string { return "[]\n" + s }, true, true, 1},
		"of another state":      {func(s string) string { return strings.ReplaceAll(s, `{"state":"`, `{"state":"x`) }, false, false, 1},
		"huge":                  {func(s string) string { return s + strings.Repeat("{}\n", maxStateFile/2) }, true, true, 1},
		"deep":                  {func(s string) string { return s + strings.Repeat(`{"journal":[`, 20000) + "\n" }, true, true, 3},
		"a wrong address":       {func(s string) string { return strings.Replace(s, `"cidr":""`, `"cidr":"192.0.2.1/99"`, 1) }, true, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, st := logStore(t), newState()
			for n := range 3 {
				if err := s.saveJournal(st, st.write(n), true); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(s.Path(logFile))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.Path(logFile), []byte(c.spoil(string(data))), 0o600); err != nil {
				t.Fatal(err)
			}
			got, warning := s.Load()
			if got.Torn != c.torn || (warning != "") != c.warning || len(got.Journal) != c.journal {
				t.Errorf("torn: %v, %d entries, %q", got.Torn, len(got.Journal), warning)
			}
		})
	}
}

// Who reads without the lock never reads less than was there when he began.
func TestReadBesideTheRound(t *testing.T) {
	s, st := logStore(t), newState()
	if err := s.Save(st); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			err := s.saveJournal(st, st.write(n), true)
			if n%5 == 4 && err == nil {
				err = s.Save(st)
			}
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Millisecond) // a call to AWS takes longer
		}
	}()
	last := 0
	for end := time.Now().Add(30 * time.Second); last < 60 && time.Now().Before(end); {
		got, warning := s.Load()
		if len(got.Journal) < last || warning != "" {
			t.Fatalf("%d entries after %d, %s", len(got.Journal), last, warning)
		}
		last = len(got.Journal)
	}
	close(stop)
	<-done
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte(`{"state":"s","group":"sg-1","journal":[{"do":"move","group":"sg-1","id":"sgr-1","cidr":"192.0.2.1/32","maybe":true}]}` + "\n"))
	f.Add([]byte(`{"state":"s","group":"sg-2","journal":null}` + "\n" + `{"state":"x"}` + "\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := logStore(t)
		if err := os.WriteFile(s.Path(stateFile), []byte(`{"version":1,"log":"s"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.Path(logFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		st, _ := s.Load()
		if err := s.Save(st); err != nil {
			t.Fatalf("what was loaded cannot be saved: %v", err)
		}
		if _, warning := s.Load(); warning != "" {
			t.Errorf("what was saved cannot be loaded: %s", warning)
		}
	})
}
