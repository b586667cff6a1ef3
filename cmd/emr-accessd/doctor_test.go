package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
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

// bothregions: the endpoint serves the other account's region too, as AWS does.
func cmdBothRegions(ts *testscript.TestScript, _ bool, _ []string) {
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
