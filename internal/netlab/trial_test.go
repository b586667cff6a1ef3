//go:build linux

package netlab_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// buildDir is where the program is built, once for all tests.
var buildDir string

var program = sync.OnceValues(func() (string, error) {
	// `go test` answers from its cache while nothing has changed that the test has looked at. The program's source is
	// no import of it, so it looks.
	if err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".go" {
			_, err = os.Stat(name)
		}
		return err
	}); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "netlab-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	file := filepath.Join(dir, "emr-accessd")
	return file, netlab.Build(context.Background(), file, buildFlags...)
})

func TestMain(m *testing.M) {
	// These tests wait most of the time, so more of them run at once than there are processors.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// trial is a world with the daemon running on its laptop. When it ends, what holds in every trial is checked: nothing
// was ever opened but addresses that the laptop had, and nobody else's rule was touched.
type trial struct {
	*netlab.World
	t      *testing.T
	daemon *netlab.Daemon
	had    []string // CIDRs that may be authorized
	count  map[string]int
}

// begin makes a world in which the daemon does not run yet.
func begin(t *testing.T, o netlab.Options) *trial {
	t.Helper()
	need(t, netlab.Available())
	_, err := program()
	check(t, err)
	tr := &trial{t: t, World: newWorld(t, o), count: map[string]int{}}
	tr.mayHave("198.51.100.10/32")
	t.Cleanup(func() {
		if t.Failed() && tr.daemon != nil {
			t.Logf("the daemon wrote:\n%s", tr.daemon.Log())
		}
	})
	return tr
}

// mayHave notes addresses that the laptop has or will have.
func (tr *trial) mayHave(cidrs ...string) { tr.had = append(tr.had, cidrs...) }

// run starts the daemon with lines of [address] and variables.
func (tr *trial) run(settings map[string]string, env ...string) {
	tr.t.Helper()
	path, err := program()
	check(tr.t, err)
	check(tr.t, tr.Config(settings))
	tr.daemon, err = tr.Run(path, env...)
	check(tr.t, err)
	tr.t.Cleanup(tr.end)
}

// end stops the daemon and checks what must hold.
func (tr *trial) end() {
	if err := tr.daemon.Stop(); err != nil {
		tr.t.Errorf("the daemon ended badly: %v", err)
	}
	for _, cidr := range tr.Cloud.Authorized() {
		if !slices.Contains(tr.had, cidr) {
			tr.t.Errorf("%s was authorized, which the laptop never had (%v)", cidr, tr.had)
		}
	}
	if !tr.Cloud.Untouched() {
		tr.t.Error("rules of others were changed")
	}
	if strings.Contains(tr.daemon.Log(), "DATA RACE") {
		tr.t.Error("the daemon has a data race")
	}
}

// rules waits until the program's rules are exactly these.
func (tr *trial) rules(what string, want ...string) {
	tr.t.Helper()
	slices.Sort(want)
	deadline := time.Now().Add(patience)
	for !slices.Equal(tr.Cloud.Own(), want) {
		if time.Now().After(deadline) {
			tr.t.Fatalf("%s: the rules are %v, want %v; %s", what, tr.Cloud.Own(), want, tr.told())
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Each has its call, or else the check at the end would see nothing. A rule stands a moment before it is noted that its
	// call went well.
	for _, cidr := range want {
		for !slices.Contains(tr.Cloud.Authorized(), cidr) {
			if time.Now().After(deadline) {
				tr.t.Fatalf("%s stands, but no call for it is known", cidr)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// still checks that the rules stay what they are for some time.
func (tr *trial) still(what string, d time.Duration) {
	tr.t.Helper()
	was := tr.Cloud.Own()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if now := tr.Cloud.Own(); !slices.Equal(now, was) {
			tr.t.Fatalf("%s: the rules became %v, they were %v; %s", what, now, was, tr.told())
		}
	}
}

// verdict waits until the daemon has this verdict of a family, and returns its sentence.
func (tr *trial) verdict(family, want string) (why string) {
	tr.t.Helper()
	tr.wait("the verdict "+want, func(s netlab.Status) bool {
		var state string
		state, why = s.Verdict(family)
		return state == want
	})
	return why
}

// noticing waits until the daemon says a sentence with this part about how it notices changes.
func (tr *trial) noticing(part string) {
	tr.t.Helper()
	tr.wait(part, func(s netlab.Status) bool { return strings.Contains(strings.Join(s.Noticing, "\n"), part) })
}

// wait waits until status says what is enough.
func (tr *trial) wait(what string, enough func(netlab.Status) bool) {
	tr.t.Helper()
	var s netlab.Status
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		var err error
		if s, err = tr.daemon.Status(tr.t.Context()); err == nil && enough(s) {
			return
		}
	}
	tr.t.Fatalf("waited in vain for %s; %+v", what, s)
}

func (tr *trial) told() string {
	s, err := tr.daemon.Status(tr.t.Context())
	return fmt.Sprintf("status: %+v %v", s, err)
}

// mark starts the counting of looks at the sources.
func (tr *trial) mark() {
	for op, e := range tr.Echoes {
		tr.count[op] = len(e.Asked())
	}
}

// looks returns how often the sources were asked since the mark: a look asks each at most once over a family.
func (tr *trial) looks() (n int) {
	for op, e := range tr.Echoes {
		six := 0
		since := e.Asked()[tr.count[op]:]
		for _, r := range since {
			if r.From.Is6() {
				six++
			}
		}
		n = max(n, six, len(since)-six)
	}
	return n
}

// few checks the number of looks since the mark.
func (tr *trial) few(what string, most int) {
	tr.t.Helper()
	if n := tr.looks(); n > most {
		tr.t.Errorf("%s: the sources were asked %d times, want %d at most", what, n, most)
	}
}

// roam takes the laptop to another network, as Wi-Fi does: it is away for a moment, and gets its address a bit after
// the link.
func (tr *trial) roam(to *netlab.Router, as netip.Addr) {
	tr.t.Helper()
	check(tr.t, tr.WiFi.Unplug())
	time.Sleep(300 * time.Millisecond)
	check(tr.t, tr.WiFi.Plug(to))
	time.Sleep(200 * time.Millisecond)
	check(tr.t, tr.WiFi.Configure(as))
}
