package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"emr-accessd": main})
}

// tests are all of the package, in the process that starts the program.
type tests struct{ *testing.M }

// Run has hangups reach the programs that tests start, also where the tests run under nohup: what is caught here is not ignored there.
func (m tests) Run() int {
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	return m.M.Run()
}

// coverage is the variable by which a child process adds to what the tests cover, where go test measures that. A
// program that is built for it and lacks it complains on stderr.
func coverage() string { return "GOCOVERDIR=" + os.Getenv("GOCOVERDIR") }

// echoes are HTTPS echoes of three operators on loopback, whose answers a test sets.
type echoes struct {
	mu      sync.Mutex
	answers map[string]string
	asked   map[string]int
	servers map[string]*httptest.Server
}

var operators = []string{"aws", "example", "third"}

func newEchoes(dir string) (*echoes, error) {
	e := &echoes{answers: map[string]string{}, asked: map[string]int{}, servers: map[string]*httptest.Server{}}
	for _, op := range operators {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(w, r, op) }))
		s.Config.ErrorLog = nil
		s.StartTLS()
		e.servers[op] = s
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		if err := os.WriteFile(filepath.Join(dir, op+".pem"), block, 0o600); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (e *echoes) serve(w http.ResponseWriter, _ *http.Request, op string) {
	e.mu.Lock()
	answer := e.answers[op]
	e.asked[op]++
	e.mu.Unlock()
	switch answer {
	case "down":
		panic(http.ErrAbortHandler)
	case "html":
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><title>Welcome to Café WiFi</title>please log in at 198.51.100.99</html>")
	default:
		_, _ = io.WriteString(w, answer+"\n")
	}
}

// set changes the answer of one operator, or of all.
func (e *echoes) set(op, answer string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range operators {
		if op == "all" || op == o {
			e.answers[o] = answer
		}
	}
}

func (e *echoes) close() {
	for _, s := range e.servers {
		s.Close()
	}
}

// config is a configuration with these echoes and the given targets.
func (e *echoes) config(dir, targets string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n[address]\naccept = [\"198.51.100.0/24\", \"203.0.113.0/24\"]\negress-check = false\nipv6 = \"off\"\nstun = []\ninterval = \"5s\"\n", targets)
	for _, op := range operators {
		fmt.Fprintf(&b, "[[address.source]]\nurl = %q\noperator = %q\nca-file = %q\n", e.servers[op].URL+"/", op, filepath.Join(dir, op+".pem"))
	}
	b.WriteString("[rules]\nprobe = false\n")
	return b.String()
}

// simWorld is a simulated AWS with the group of the EMR guide.
type simWorld struct {
	*echoes
	sim                             *awssim.Sim
	server                          *httptest.Server
	cluster, private, ended, master string
	core                            string
	instance                        string
	began                           time.Time
	dir                             string
}

func newSimWorld(dir string) (*simWorld, error) {
	e, err := newEchoes(dir)
	if err != nil {
		return nil, err
	}
	w := &simWorld{echoes: e, dir: dir, sim: awssim.New(awssim.Options{Region: "eu-west-1"})}
	vpc := w.sim.AddVPC(false)
	w.master = w.sim.AddGroup(vpc, "ElasticMapReduce-master", "Master group for Elastic MapReduce")
	w.core = w.sim.AddGroup(vpc, "ElasticMapReduce-slave", "Slave group for Elastic MapReduce")
	for _, g := range []string{w.master, w.core} {
		for _, from := range []string{w.master, w.core} {
			w.sim.AddRule(g, awssim.RuleSpec{Protocol: "tcp", FromPort: 0, ToPort: 65535, SourceGroup: from})
			w.sim.AddRule(g, awssim.RuleSpec{Protocol: "udp", FromPort: 0, ToPort: 65535, SourceGroup: from})
			w.sim.AddRule(g, awssim.RuleSpec{Protocol: "icmp", FromPort: -1, ToPort: -1, SourceGroup: from})
		}
	}
	w.sim.AddRule(w.master, awssim.RuleSpec{FromPort: 8443, ToPort: 8443, CIDR: "207.171.167.25/32"})
	w.sim.AddRule(w.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "0.0.0.0/0"})
	w.sim.AddRule(w.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.200/32", Description: "colleague"})
	spec := awssim.ClusterSpec{Name: "nightly-etl", KeyName: "team", MasterGroup: w.master, CoreGroup: w.core,
		Nodes: []awssim.NodeSpec{{PublicIP: "127.0.0.1"}, {Role: "CORE", PublicIP: "127.0.0.2"}}}
	w.cluster = w.sim.AddCluster(spec)
	w.instance = w.sim.Nodes(w.cluster)[0].InstanceID
	spec.Name, spec.Private, spec.Nodes = "inside", true, []awssim.NodeSpec{{}}
	w.private = w.sim.AddCluster(spec)
	spec.Name, spec.State, spec.Nodes = "old", "TERMINATED", nil
	w.ended = w.sim.AddCluster(spec)
	w.server = httptest.NewServer(w.sim)
	w.set("all", "198.51.100.7")
	return w, nil
}

func (w *simWorld) close() {
	w.echoes.close()
	w.server.Close()
}

// listing shows the rules of the master group, one a line, without what changes from run to run.
func (w *simWorld) listing() string {
	var b strings.Builder
	for _, r := range w.sim.Rules(w.master) {
		fmt.Fprintf(&b, "%s %s %d-%d %s%s %q %v\n", r.ID, r.Protocol, r.FromPort, r.ToPort, r.CIDR, r.SourceGroup, r.Description, r.Tags)
	}
	return b.String()
}

func (w *simWorld) writes() (n int) {
	for _, c := range w.sim.Calls() {
		if c.Write() {
			n++
		}
	}
	return n
}

// env is the environment of a child process in this world.
func (w *simWorld) env() []string {
	return []string{coverage(), "AWS_ENDPOINT_URL=" + w.server.URL, "ENDPOINT=" + w.server.URL, "AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=eu-west-1",
		"CLUSTER=" + w.cluster, "PRIVATE=" + w.private, "ENDED=" + w.ended, "GROUP=" + w.master, "CORE=" + w.core}
}

// write writes a configuration without a target and returns its path.
func (w *simWorld) write(t *testing.T) string {
	t.Helper()
	path := filepath.Join(w.dir, "config.toml")
	if err := os.WriteFile(path, []byte(w.config(w.dir, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// flagsFile writes the authorities of all echoes into one file, for --source-ca.
func (w *simWorld) flagsFile(dir string) error {
	var all []byte
	for _, op := range operators {
		block, err := os.ReadFile(filepath.Join(dir, op+".pem"))
		if err != nil {
			return err
		}
		all = append(all, block...)
	}
	return os.WriteFile(filepath.Join(dir, "all.pem"), all, 0o600)
}
