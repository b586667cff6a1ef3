package demo_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/demo"
)

func newWorld(t *testing.T, o demo.WorldOptions) *demo.World {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	w, err := demo.NewWorld(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// The gate follows the group's rules: what they are at the moment of a connection, and nothing else.
func TestGate(t *testing.T) {
	needRealAddresses(t)
	var mu sync.Mutex
	var passages []demo.Passage
	w := newWorld(t, demo.WorldOptions{Passage: func(p demo.Passage) {
		mu.Lock()
		defer mu.Unlock()
		passages = append(passages, p)
	}})
	sim, port := w.Sim(), int(w.SSHAddr().Port())
	knock := func(from string, want error) {
		t.Helper()
		if err := w.Knock(t.Context(), addr(from)); !errors.Is(err, want) {
			t.Errorf("from %s: %v, want %v", from, err, want)
		}
	}
	knock("127.0.0.2", demo.ErrDropped) // the public rule is for another port
	id := sim.AddRule(w.Group(), awssim.RuleSpec{FromPort: port, ToPort: port, CIDR: "127.0.0.2/32"})
	knock("127.0.0.2", nil)
	knock("127.0.0.3", demo.ErrDropped)
	sim.RemoveRule(id)
	knock("127.0.0.2", demo.ErrDropped)
	wide := sim.AddRule(w.Group(), awssim.RuleSpec{Protocol: "-1", CIDR: "127.0.0.0/29"})
	knock("127.0.0.7", nil)
	knock("127.0.0.8", demo.ErrDropped)
	sim.RemoveRule(wide)
	// Rules of another group admit nobody.
	other := sim.AddGroup(vpcOf(w), "other", "other")
	sim.AddRule(other, awssim.RuleSpec{FromPort: port, ToPort: port, CIDR: "127.0.0.2/32"})
	knock("127.0.0.2", demo.ErrDropped)
	// While the rules cannot be read, nobody is admitted.
	sim.AddRule(w.Group(), awssim.RuleSpec{FromPort: port, ToPort: port, CIDR: "127.0.0.2/32"})
	knock("127.0.0.2", nil)
	sim.Inject(awssim.Fault{Action: "DescribeSecurityGroupRules", Code: "RequestLimitExceeded", Status: 503, Times: 1})
	knock("127.0.0.2", demo.ErrDropped)
	knock("127.0.0.2", nil)
	if a, d := w.Passed(); a != 4 || d != 6 {
		t.Errorf("%d admitted, %d dropped, want 4 and 6", a, d)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(passages) != 10 || passages[1].Why != id || passages[1].From.Addr() != addr("127.0.0.2") || passages[0].Admitted ||
		!strings.Contains(passages[8].Why, "RequestLimitExceeded") {
		t.Errorf("passages %+v", passages)
	}
}

func vpcOf(w *demo.World) string { return w.Sim().Nodes(w.Cluster())[0].VPC }

func TestAlwaysOpen(t *testing.T) {
	needRealAddresses(t)
	w := newWorld(t, demo.WorldOptions{AlwaysOpen: true})
	if err := w.Knock(t.Context(), addr("127.0.0.2")); err != nil {
		t.Error(err)
	}
}

// Where laptops have no addresses of their own, the gate goes by what the world says.
func TestImaginedAddresses(t *testing.T) {
	w := newWorld(t, demo.WorldOptions{OneAddress: true})
	if w.RealAddresses() || w.SSHAddr().Addr() != addr("127.0.0.1") {
		t.Errorf("real addresses %t, node at %s", w.RealAddresses(), w.SSHAddr())
	}
	port := int(w.SSHAddr().Port())
	w.Sim().AddRule(w.Group(), awssim.RuleSpec{FromPort: port, ToPort: port, CIDR: "127.0.0.3/32"})
	if err := w.Knock(t.Context(), addr("127.0.0.2")); !errors.Is(err, demo.ErrDropped) {
		t.Errorf("127.0.0.2: %v", err)
	}
	if err := w.Knock(t.Context(), addr("127.0.0.3")); err != nil {
		t.Errorf("127.0.0.3: %v", err)
	}
	cfg, err := config.Load(w.Alice().ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.2", "127.0.0.77"} {
		if err := w.Alice().Move(addr(want)); err != nil {
			t.Fatal(err)
		}
		for _, s := range cfg.Address.Sources {
			if got := ask(t, s.URL, rootsFrom(t, s.CAFile), netip.Addr{}); got != want+"\n" {
				t.Errorf("%s answers %q, want %s", s.Operator, got, want)
			}
		}
	}
}

// The rules that the story shows are those of EMR and of the people, nothing of them is tagged as ours.
func TestSeed(t *testing.T) {
	w := newWorld(t, demo.WorldOptions{})
	rules, err := w.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var reflexive, ingress int
	for _, r := range rules {
		if len(r.Tags) > 0 {
			t.Errorf("rule %s has tags %v", r.ID, r.Tags)
		}
		if !r.Egress && r.Group == w.Group() {
			ingress++
			if r.SourceGroup != "" {
				reflexive++
			}
		}
	}
	if reflexive != 6 || ingress != 9 {
		t.Errorf("the managed group has %d rules, %d of them between nodes; want 9 and 6", ingress, reflexive)
	}
	nodes := w.Sim().Nodes(w.Cluster())
	if len(nodes) != 2 || nodes[0].InstanceID != w.Instance() || nodes[0].PublicIP != w.SSHAddr().Addr().String() || !slices.Contains(nodes[0].Groups, w.Group()) {
		t.Errorf("nodes %+v", nodes)
	}
}

func TestConfiguration(t *testing.T) {
	for _, dir := range []string{"plain", "with ' and \" and space"} {
		dir := filepath.Join(t.TempDir(), dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, demo.WorldOptions{Dir: dir})
		cfg, err := config.Load(w.Alice().ConfigPath)
		if err != nil {
			t.Fatal(err)
		}
		want := config.Default()
		target := config.DefaultTarget()
		target.Cluster, target.Region, target.Account, target.Port = w.Cluster(), "eu-west-1", "123456789012", int(w.SSHAddr().Port())
		got := cfg.Targets[0]
		if len(cfg.Targets) != 1 || got.Cluster != target.Cluster || got.Region != target.Region || got.Account != target.Account || got.Port != target.Port || got.Group != target.Group {
			t.Errorf("targets %+v", cfg.Targets)
		}
		if a := cfg.Address; a.Agree != want.Address.Agree || a.Require != want.Address.Require || a.Interval != want.Address.Interval || !a.EgressCheck || len(a.Operators()) != 2 {
			t.Errorf("the quorum is weakened: %+v", a)
		}
		for _, s := range cfg.Address.Sources {
			if filepath.Dir(s.CAFile) != dir {
				t.Errorf("ca-file %q", s.CAFile)
			}
		}
	}
}

func TestMove(t *testing.T) {
	w := newWorld(t, demo.WorldOptions{})
	l := w.Alice()
	for _, bad := range []string{"203.0.113.7", "::1", "0.0.0.0"} {
		if err := l.Move(addr(bad)); err == nil {
			t.Errorf("moved to %s", bad)
		}
	}
	if l.Address() != addr("127.0.0.2") || w.Bob().Address() != addr("127.0.0.3") {
		t.Errorf("alice at %s, bob at %s", l.Address(), w.Bob().Address())
	}
	for _, text := range []string{"", "nonsense", "203.0.113.7\n", "127.0.0.2\n127.0.0.3\n", "::1"} {
		if err := os.WriteFile(l.SourcePath, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := l.Address(); a.IsValid() {
			t.Errorf("%q is read as %s", text, a)
		}
	}
	if err := os.WriteFile(l.SourcePath, []byte("127.0.0.9"), 0o600); err != nil { // as `echo` of some shells
		t.Fatal(err)
	}
	if l.Address() != addr("127.0.0.9") {
		t.Error("127.0.0.9 is not read")
	}
}

// A child gets nothing of the user's own that could mix with the world: no profile, no agent, no home.
func TestEnv(t *testing.T) {
	w := newWorld(t, demo.WorldOptions{})
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "SSH_AUTH_SOCK", "HTTPS_PROXY", "EMR_ACCESSD_STATE", "HOME"} {
		t.Setenv(name, "the-users-own")
	}
	env := w.Bob().Env()
	seen := map[string]bool{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if value == "the-users-own" || seen[name] {
			t.Errorf("%s", kv)
		}
		seen[name] = true
	}
	for _, name := range []string{"HOME", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_REGION", "EMR_ACCESSD_CONFIG", "EMR_ACCESSD_STATE", "EMR_ACCESSD_DEMO_SOURCE", "AWS_CONFIG_FILE"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// Nobody else may read the keys, and nothing stays behind.
func TestFiles(t *testing.T) {
	w, err := demo.NewWorld(t.Context(), demo.WorldOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		err = filepath.WalkDir(w.Dir(), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", w.Dir(), err)
	}
	if err := w.Knock(context.Background(), addr("127.0.0.1")); err == nil || errors.Is(err, demo.ErrDropped) {
		t.Errorf("the gate still stands: %v", err)
	}
}

func TestNewWorldFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, o := range []demo.WorldOptions{{Dir: filepath.Join(t.TempDir(), "nothing")}, {}} {
		if _, err := demo.NewWorld(ctx, o); err == nil {
			t.Errorf("no error with %+v", o)
		}
	}
}
