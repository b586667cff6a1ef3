package ipwatch_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// badEchoes are answers that other tools have taken for an address; none may count here.
func badEchoes(elsewhere string) []struct {
	name    string
	handler http.HandlerFunc
	fault   ipwatch.Fault
} {
	html := "<!DOCTYPE html><html><body>Welcome, please sign in. Your IP: 10.9.8.1</body></html>"
	return []struct {
		name    string
		handler http.HandlerFunc
		fault   ipwatch.Fault
	}{
		{"captive portal page", says(html), ipwatch.FaultPortal},
		{"long captive portal page", says(html + strings.Repeat(" ", 5000)), ipwatch.FaultPortal},
		{"page with a good address", says("<p>" + good + "</p>"), ipwatch.FaultPortal},
		{"firewall block page", says("Access denied by policy. Client " + good + " blocked."), ipwatch.FaultBody},
		{"status 500", answers(500, good), ipwatch.FaultStatus},
		{"status 404", answers(404, good), ipwatch.FaultStatus},
		{"status 201", answers(201, good), ipwatch.FaultStatus},
		{"status 511", answers(511, good), ipwatch.FaultPortal},
		{"private 192.168", says("192.168.1.20"), ipwatch.FaultRange},
		{"private 10", says("10.9.8.1"), ipwatch.FaultRange},
		{"private 172.16", says("172.31.255.255"), ipwatch.FaultRange},
		{"shared 100.64", says("100.64.0.1"), ipwatch.FaultRange},
		{"loopback", says("127.0.0.1"), ipwatch.FaultRange},
		{"unspecified", says("0.0.0.0"), ipwatch.FaultBody},
		{"multicast", says("224.0.0.1"), ipwatch.FaultBody},
		{"documentation", says("198.51.100.7"), ipwatch.FaultRange},
		{"version string", says("squid/4.10.1.2"), ipwatch.FaultBody},
		{"redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere, http.StatusFound)
		}, ipwatch.FaultRedirect},
		{"redirect with the address in it", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/")
			w.WriteHeader(http.StatusTemporaryRedirect)
			fmt.Fprint(w, good)
		}, ipwatch.FaultRedirect},
		{"8 MB", says(strings.Repeat(good+"\n", 8<<20/12)), ipwatch.FaultBody},
		{"address and 2 KB of blanks", says(good + strings.Repeat(" ", 2<<10)), ipwatch.FaultBody},
		{"two addresses", says(good + ", 198.41.0.4"), ipwatch.FaultBody},
		{"two lines", says(good + "\n" + good + "\n"), ipwatch.FaultBody},
		{"leading zeros", says("203.000.113.007"), ipwatch.FaultBody},
		{"with a port", says(good + ":443"), ipwatch.FaultBody},
		{"with a prefix", says(good + "/32"), ipwatch.FaultBody},
		{"v6 over v4", says("2600:1f18::7"), ipwatch.FaultFamily},
		{"v4-mapped", says("::ffff:" + good), ipwatch.FaultBody},
		{"zone", says("fe80::1%eth0"), ipwatch.FaultBody},
		{"json", says(`{"ip":"` + good + `"}`), ipwatch.FaultBody},
		{"empty", says(""), ipwatch.FaultBody},
		{"terminal escape", says("\x1b]0;owned\a" + good), ipwatch.FaultBody},
		{"NUL at the end", says(good + "\x00"), ipwatch.FaultBody},
		{"compressed although not asked", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "\x1f\x8b\x08")
		}, ipwatch.FaultBody},
		{"body shorter than its length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "20")
			fmt.Fprint(w, good)
		}, ipwatch.FaultBody},
		{"not HTTP", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(c, good+"\r\n")
				c.Close()
			}
		}, ipwatch.FaultBody},
	}
}

func TestBadEchoes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var visited sync.Map
	elsewhere := l.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visited.Store(r.URL.Path, true)
		fmt.Fprint(w, good)
	}))
	cf, ipify := l.echo("cloudflare", good), l.echo("ipify", good)
	aws := l.echo("aws", good)
	for _, c := range badEchoes(elsewhere.URL + "/caught") {
		t.Run(c.name, func(t *testing.T) {
			bad := l.serve(c.handler)
			// In AWS's place: the others agree, but without AWS nothing is confirmed.
			v := verdict(t, l.detector(labPolicy(), l.source(bad, "aws"), cf, ipify))
			if v.State != ipwatch.Unsure {
				t.Errorf("state %s (%s), want unsure", v.State, v.Why)
			}
			e, ok := errors.AsType[*ipwatch.EchoError](v.Answers[0].Err)
			if !ok || e.Fault != c.fault {
				t.Errorf("error %v, want fault %s", v.Answers[0].Err, c.fault)
			}
			if ok && (e.Error() != ipwatch.Clean(e.Error(), 200) || len(e.Error()) > 400) {
				t.Errorf("error text is not safe to print: %q", e.Error())
			}
			// In another one's place: two good ones are left and confirm.
			v = verdict(t, l.detector(labPolicy(), aws, l.source(bad, "cloudflare"), ipify))
			if v.State != ipwatch.Confirmed || v.Addr.String() != good {
				t.Errorf("state %s %v (%s), want confirmed %s", v.State, v.Addr, v.Why, good)
			}
		})
	}
	if _, ok := visited.Load("/caught"); ok {
		t.Error("a redirect was followed")
	}
}

func TestGoodEchoes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	htmlType := l.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html") // what PHP says by default
		fmt.Fprint(w, good)
	}))
	trace := l.source(l.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "fl=1\nh=%s\nip=%s\nts=1.2\nvisit_scheme=https\nuag=%s\ncolo=FRA\nwarp=off\ngateway=off\n", r.Host, good, r.UserAgent())
	})), "cloudflare")
	trace.Format = ipwatch.Trace
	for name, s := range map[string]ipwatch.Source{
		"bare":       l.echo("cloudflare", good),
		"newline":    l.echo("cloudflare", good+"\n"),
		"blanks":     l.echo("cloudflare", " \t"+good+"\r\n"),
		"2048 bytes": l.echo("cloudflare", good+strings.Repeat(" ", 2048-len(good))),
		"html type":  l.source(htmlType, "cloudflare"),
		"trace":      trace,
	} {
		v := verdict(t, l.detector(labPolicy(), l.echo("aws", good), s))
		if v.State != ipwatch.Confirmed || v.Why != "AWS and Cloudflare agree on "+good+"." {
			t.Errorf("%s: state %s (%s), want confirmed", name, v.State, v.Why)
		}
	}
}

// TestPeerAddress asks echoes that answer with the connection's own source, from a bound address.
func TestPeerAddress(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	aws, cf := l.serve(http.HandlerFunc(sayPeer)), l.serve(http.HandlerFunc(sayPeer))
	p := labPolicy()
	p.Accept = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	d := l.detector(p, l.source(aws, "aws"), l.source(cf, "cloudflare"))
	if v := verdict(t, d); v.State != ipwatch.Confirmed || v.Addr.String() != "127.0.0.1" {
		t.Fatalf("state %s %v (%s), want confirmed 127.0.0.1", v.State, v.Addr, v.Why)
	}
	from := netip.MustParseAddr("127.0.0.9")
	if c, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))); err != nil {
		t.Skip("this system has no further loopback addresses: ", err)
	} else {
		c.Close()
	}
	d.Bind = func(ipwatch.Family) netip.Addr { return from }
	v := verdict(t, d)
	if v.State != ipwatch.Confirmed || v.Addr != from {
		t.Fatalf("state %s %v (%s), want confirmed %s", v.State, v.Addr, v.Why, from)
	}
	if v.Answers[0].Local != from || v.Answers[0].Remote.Addr().String() != "127.0.0.1" {
		t.Errorf("connection from %v to %v, want from %s to 127.0.0.1", v.Answers[0].Local, v.Answers[0].Remote, from)
	}
}

// TestFreshConnections checks that no question reuses a connection: a kept one misses a changed address.
func TestFreshConnections(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var mu sync.Mutex
	var peers, paths []string
	s := l.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		peers, paths = append(peers, r.RemoteAddr), append(paths, r.Method+" "+r.Header.Get("Connection")+" "+r.Proto)
		fmt.Fprint(w, good)
	}))
	p := labPolicy()
	p.Agree = 1
	d := l.detector(p, l.source(s, "aws"))
	for range 3 {
		if v := verdict(t, d); v.State != ipwatch.Confirmed {
			t.Fatal(v.Why)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(peers)
	if len(peers) != 3 || len(slices.Compact(peers)) != 3 {
		t.Errorf("three questions came from %v, want three connections", peers)
	}
	for _, got := range paths {
		if got != "GET close HTTP/1.1" {
			t.Errorf("request %q", got)
		}
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	now := time.Now()
	expired := l.serve(says(good), l.cert(now.Add(-48*time.Hour), now.Add(-24*time.Hour)))
	future := l.serve(says(good), l.cert(now.Add(24*time.Hour), now.Add(48*time.Hour)))
	portal := l.serve(says(good), l.cert(now.Add(-time.Hour), now.Add(time.Hour), "portal.example.net"))
	oldPortal := l.serve(says(good), l.cert(now.Add(-48*time.Hour), now.Add(-time.Hour), "portal.example.net"))
	plain := httptest.NewServer(says(good))
	t.Cleanup(plain.Close)
	stranger := newLab(t)
	corp := stranger.serve(says(good))
	for _, c := range []struct {
		name   string
		server *httptest.Server
		url    string
		state  ipwatch.State
		fault  ipwatch.Fault
		portal string
		why    string
	}{
		{"expired", expired, "", ipwatch.Unsure, ipwatch.FaultClock, "", "clock of this computer"},
		{"not yet valid", future, "", ipwatch.Unsure, ipwatch.FaultClock, "", "clock of this computer"},
		{"another name", portal, "", ipwatch.Captive, ipwatch.FaultCertificate, "portal.example.net", "portal.example.net answers in place of the sources"},
		{"another name, expired", oldPortal, "", ipwatch.Captive, ipwatch.FaultCertificate, "portal.example.net", "sign in"},
		{"another authority", corp, "", ipwatch.Captive, ipwatch.FaultCertificate, "Lab CA", "company proxy"},
		{"plain http on the port", plain, strings.Replace(plain.URL, "http://", "https://", 1), ipwatch.Captive, ipwatch.FaultPortal, "", "plain HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			aws, cf := l.source(c.server, "aws"), l.source(c.server, "cloudflare")
			cf.URL += "2"
			if c.url != "" {
				aws.URL, cf.URL = c.url, c.url+"/2"
			}
			v := verdict(t, l.detector(labPolicy(), aws, cf))
			e, ok := errors.AsType[*ipwatch.EchoError](v.Answers[0].Err)
			if !ok {
				t.Fatalf("error %v", v.Answers[0].Err)
			}
			if v.State != c.state || e.Fault != c.fault || e.Portal != c.portal || !strings.Contains(v.Why, c.why) {
				t.Errorf("state %s, fault %s, portal %q: %s\nwant %s, %s, %q: …%s…", v.State, e.Fault, e.Portal, v.Why, c.state, c.fault, c.portal, c.why)
			}
		})
	}
	t.Run("system roots do not know the lab", func(t *testing.T) {
		aws, cf := l.echo("aws", good), l.echo("cloudflare", good)
		aws.CAFile, cf.CAFile = "", ""
		if v := verdict(t, l.detector(labPolicy(), aws, cf)); v.State != ipwatch.Captive {
			t.Errorf("state %s (%s), want captive", v.State, v.Why)
		}
	})
	t.Run("own authority only for its own source", func(t *testing.T) {
		aws, cf := l.echo("aws", good), stranger.echo("cloudflare", good)
		cf.CAFile = l.CAFile
		v := verdict(t, l.detector(labPolicy(), aws, cf))
		if v.State != ipwatch.Unsure || v.Answers[1].Err == nil {
			t.Errorf("state %s (%s), want unsure: the second certificate is from another authority", v.State, v.Why)
		}
	})
}

func TestRedirectOnlyIsCaptive(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://login\u202e.hotel.example/?next=1")
		w.WriteHeader(http.StatusFound)
	}))
	other := l.source(s, "cloudflare")
	other.URL += "trace"
	v := verdict(t, l.detector(labPolicy(), l.source(s, "aws"), other))
	if v.State != ipwatch.Captive || !strings.HasPrefix(v.Why, `login\u202e.hotel.example answers in place of the sources`) {
		t.Errorf("state %s: %s", v.State, v.Why)
	}
}
