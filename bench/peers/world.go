//go:build unix

package main

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// world is the simulated AWS with a cluster for each, and what tells the address.
type world struct {
	dir          string
	sim          *awssim.Sim
	aws          *server
	echoes       []*server // the script believes the first one
	now          atomic.Pointer[string]
	ours, theirs string // security groups
}

// operators are those of the echoes.
var operators = []string{"aws", "example"}

func newWorld(dir string) (*world, error) {
	w := &world{dir: dir, sim: awssim.New(awssim.Options{Region: "eu-west-1"})}
	vpc := w.sim.AddVPC(false)
	cluster := ""
	for i, group := range []*string{&w.ours, &w.theirs} {
		*group = w.sim.AddGroup(vpc, fmt.Sprintf("ElasticMapReduce-master-%d", i), "Master group for Elastic MapReduce")
		w.sim.AddRule(*group, awssim.RuleSpec{FromPort: 8443, ToPort: 8443, CIDR: "207.171.167.25/32"})
		id := w.sim.AddCluster(awssim.ClusterSpec{Name: "etl", MasterGroup: *group, CoreGroup: *group, Nodes: []awssim.NodeSpec{{PublicIP: "127.0.0.1"}}})
		if i == 0 {
			cluster = id
		}
	}
	w.move(0)
	w.aws = serve(w.sim)
	text := fmt.Sprintf("[[target]]\ncluster = %q\n[address]\naccept = [\"198.51.100.0/24\"]\negress-check = false\nipv6 = \"off\"\nstun = []\n", cluster)
	for _, op := range operators {
		s := serve(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintln(rw, w.address()) }))
		w.echoes = append(w.echoes, s)
		text += fmt.Sprintf("[[address.source]]\nurl = %q\noperator = %q\nca-file = %q\n", s.url(), op, w.caFile())
	}
	text += "[rules]\nprobe = false\n[notify]\ndesktop = false\n"
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.aws.Certificate().Raw}) // all have the same one
	for file, text := range map[string][]byte{w.caFile(): ca, w.configFile(): []byte(text)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

func (w *world) caFile() string     { return filepath.Join(w.dir, "ca.pem") }
func (w *world) configFile() string { return filepath.Join(w.dir, "config.toml") }

func (w *world) close() {
	for _, s := range append(w.echoes, w.aws) {
		s.Close()
	}
}

// move gives the laptop its i-th address.
func (w *world) move(i int) {
	a := fmt.Sprintf("198.51.100.%d", 1+i)
	w.now.Store(&a)
}

func (w *world) address() string { return *w.now.Load() }

// admits lists the addresses that a group admits to port 22.
func (w *world) admits(group string) (all []string) {
	for _, r := range w.sim.Rules(group) {
		if r.FromPort == 22 {
			all = append(all, strings.TrimSuffix(r.CIDR, "/32"))
		}
	}
	return all
}

// environ is the environment of both.
func (w *world) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "AWS_ENDPOINT_URL=" + w.aws.URL, "AWS_CA_BUNDLE=" + w.caFile(), "CURL_CA_BUNDLE=" + w.caFile(),
		"AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"EMR_ACCESSD_CONFIG=" + w.configFile(), "EMR_ACCESSD_STATE=" + filepath.Join(w.dir, "state")}
}

// reset makes the counters begin anew.
func (w *world) reset() {
	w.sim.ResetCalls()
	for _, s := range append(w.echoes, w.aws) {
		s.bytes.Store(0)
	}
}

// traffic is what has gone to and from AWS and the echoes since then, when all connections of a program that has ended are
// closed.
func (w *world) traffic() (aws, echo int64, err error) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		open := w.aws.open.Load()
		for _, s := range w.echoes {
			open += s.open.Load()
		}
		if open == 0 {
			break
		}
		if time.Now().After(deadline) {
			return 0, 0, fmt.Errorf("%d connections are still open", open)
		}
	}
	for _, s := range w.echoes {
		echo += s.bytes.Load()
	}
	return w.aws.bytes.Load(), echo, nil
}

// server is a server with TLS on loopback, whose bytes are counted.
type server struct {
	*httptest.Server
	meter
}

// meter counts what TCP carries.
type meter struct{ bytes, open *atomic.Int64 }

func serve(h http.Handler) *server {
	s := &server{httptest.NewUnstartedServer(h), meter{new(atomic.Int64), new(atomic.Int64)}}
	s.Listener = counting{s.Listener, s.meter}
	s.StartTLS()
	return s
}

func (s *server) url() string { return s.URL + "/" }

// counting counts the bytes of all connections.
type counting struct {
	net.Listener
	meter
}

// Accept implements [net.Listener].
func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	return &counted{Conn: conn, meter: c.meter}, nil
}

type counted struct {
	net.Conn
	meter
	closed sync.Once
}

// Read implements [net.Conn].
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// Write implements [net.Conn].
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// Close implements [net.Conn].
func (c *counted) Close() error {
	defer c.closed.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
