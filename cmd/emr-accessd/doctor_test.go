package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/rogpeppe/go-internal/testscript"
)

// teamkey FILE: the cluster's key pair has the public key in that file.
func cmdTeamKey(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).sim.AddKeyPair("team", strings.TrimSpace(ts.ReadFile(args[0])))
}

// network acl|route ARG…: the primary node's subnet has a network ACL that lets in these ports and their answers out
// ("noanswers": none), or routes to these gateways.
func cmdNetwork(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	subnet := w.sim.Nodes(w.cluster)[0].Subnet
	if args[0] == "route" {
		var routes []awssim.RouteSpec
		for _, via := range args[1:] {
			routes = append(routes, awssim.RouteSpec{CIDR: "0.0.0.0/0", Via: via})
		}
		w.sim.SetRoutes(subnet, routes...)
		return
	}
	entries := []awssim.ACLEntry{{Number: 1, Egress: true, From: 1024, To: 65535, CIDR: "0.0.0.0/0"}}
	for i, port := range args[1:] {
		if port == "noanswers" {
			entries = entries[1:]
			continue
		}
		n, err := strconv.Atoi(port)
		ts.Check(err)
		entries = append(entries, awssim.ACLEntry{Number: i + 1, From: n, To: n, CIDR: "0.0.0.0/0"})
	}
	w.sim.SetACL(subnet, entries...)
}

// regions: the endpoint serves the other account's region too, as AWS does.
func cmdRegions(ts *testscript.TestScript, _ bool, _ []string) {
	here, other := worldOf(ts).sim, ts.Value("other").(*otherAccount).sim
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "/us-east-1/elasticmapreduce/") {
			other.ServeHTTP(w, r)
			return
		}
		here.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv("AWS_ENDPOINT_URL", server.URL)
}

// imposter TEXT: something else than an SSH server listens as the node, says the text ("" for nothing) when it is
// spoken to, and hangs up. PORT is set.
func cmdImposter(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv("PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if n, _ := c.Read(make([]byte, 256)); n > 0 {
					_, _ = io.WriteString(c, args[0]+"\r\n")
				}
			}()
		}
	}()
}

// docs/doctor.md has a line for each check, and for no other.
func TestDoctorDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EMR_ACCESSD_STATE", t.TempDir())
	a := &app{status: nil}
	d := &doctor{app: a, signIns: map[string]*signedIn{}}
	var want []string
	for _, e := range slices.Concat(d.local(), d.accounts([]wantedTarget{{}})) {
		want = append(want, e.id)
	}
	for _, t := range []keeper.Target{{Cluster: "j-1"}, {SecurityGroup: "sg-1"}} {
		p := &patient{doctor: d, target: t, signedIn: d.signIns[placeKey(keeper.Target{})]}
		for _, e := range p.exams() {
			want = append(want, e.id)
		}
	}
	want = append(want, "configuration")
	slices.Sort(want)
	want = slices.Compact(want)
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("documented are %v, looked at %v", got, want)
	}
}
