package ipwatch_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"golang.org/x/net/dns/dnsmessage"
)

// udpServer answers packets on a loopback port. answer gets a packet, its sender and how many came before it from
// the same port, and returns the packets to send.
type udpServer struct {
	addr string
	mu   sync.Mutex
	from map[netip.AddrPort][][]byte // what each port sent
}

func serveUDP(t *testing.T, answer func(b []byte, from netip.AddrPort, before int) [][]byte) *udpServer {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	s := &udpServer{addr: c.LocalAddr().String(), from: make(map[netip.AddrPort][][]byte)}
	done := make(chan struct{})
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			before := len(s.from[from])
			s.from[from] = append(s.from[from], slices.Clone(buf[:n]))
			s.mu.Unlock()
			for _, b := range answer(slices.Clone(buf[:n]), from, before) {
				c.WriteToUDPAddrPort(b, from)
			}
		}
	}()
	return s
}

// heard returns the packets of each port.
func (s *udpServer) heard() [][][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all [][][]byte
	for _, packets := range s.from {
		all = append(all, packets)
	}
	return all
}

// stunSays answers a Binding request with an address.
func stunSays(b []byte, a netip.Addr) []byte {
	id := [12]byte(b[8:20])
	return message(0x0101, id, attribute(0x0020, mapped(a, true, id)))
}

func honestSTUN(b []byte, from netip.AddrPort, _ int) [][]byte {
	return [][]byte{stunSays(b, from.Addr())}
}

func TestSTUNLook(t *testing.T) {
	t.Parallel()
	s := serveUDP(t, honestSTUN)
	p := &ipwatch.STUN{Server: s.addr}
	for range 4 {
		got, err := p.Probe(t.Context(), ipwatch.V4)
		if err != nil || got.Addr.String() != "127.0.0.1" || got.By != "stun "+s.addr || got.Took <= 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Took >= ipwatch.Retransmit {
			t.Skip("this computer is too busy to count packets: ", got.Took)
		}
	}
	ids := make(map[string]bool)
	for _, packets := range s.heard() {
		if len(packets) != 1 || len(packets[0]) != 20 {
			t.Errorf("a port sent %x", packets)
		}
		ids[string(packets[0][8:])] = true
	}
	if n := len(s.heard()); n != 4 || len(ids) != 4 {
		t.Errorf("4 looks came from %d ports with %d transactions", n, len(ids))
	}
	if got, want := p.Traffic(), (ipwatch.Traffic{SentPackets: 4, SentBytes: 80, ReceivedPackets: 4, ReceivedBytes: 128, IPBytes: 208 + 8*28}); got != want {
		t.Errorf("traffic %+v, want %+v", got, want)
	}
	if _, err := p.Probe(t.Context(), ipwatch.V6); err == nil || !strings.Contains(err.Error(), "no IPv6 address") {
		t.Errorf("over IPv6: %v", err)
	}
	from := netip.MustParseAddr("127.0.0.9")
	p.Wire.Bind = func(ipwatch.Family) netip.Addr { return from }
	if got, err := p.Probe(t.Context(), ipwatch.V4); err != nil && ipwatch.NoRoute(err) {
		t.Skip("this system has no further loopback addresses: ", err)
	} else if err != nil || got.Addr != from {
		t.Errorf("bound to %s: %+v, %v", from, got, err)
	}
}

// TestSTUNServers: how servers misbehave. A look ends in time, with an error that says what was wrong.
func TestSTUNServers(t *testing.T) {
	t.Parallel()
	lie := netip.MustParseAddr("198.51.100.66")
	for _, c := range []struct {
		name   string
		answer func([]byte, netip.AddrPort, int) [][]byte
		want   string // an address, or a part of the error
		fault  ipwatch.Fault
		sent   int // packets
	}{
		{"lying", func(b []byte, _ netip.AddrPort, _ int) [][]byte { return [][]byte{stunSays(b, lie)} }, lie.String(), "", 1},
		{"silent", func([]byte, netip.AddrPort, int) [][]byte { return nil }, "no answer in time", ipwatch.FaultTimeout, 2},
		{"losing the first", func(b []byte, from netip.AddrPort, before int) [][]byte {
			if before == 0 {
				return nil
			}
			return honestSTUN(b, from, before)
		}, "127.0.0.1", "", 2},
		{"noise first", func(b []byte, from netip.AddrPort, _ int) [][]byte {
			wrong := stunSays(b, lie)
			wrong[19]++
			return [][]byte{[]byte("<html>"), wrong, b, {}, stunSays(b, from.Addr())}
		}, "127.0.0.1", "", 1},
		{"wrong transaction", func(b []byte, _ netip.AddrPort, _ int) [][]byte {
			wrong := stunSays(b, lie)
			wrong[19]++
			return [][]byte{wrong}
		}, "another transaction", ipwatch.FaultBody, 2},
		{"flood", func(b []byte, from netip.AddrPort, _ int) [][]byte {
			return append(slices.Repeat([][]byte{[]byte("noise")}, 40), stunSays(b, from.Addr()))
		}, "32 packets came", ipwatch.FaultBody, 1},
		{"other family", func(b []byte, _ netip.AddrPort, _ int) [][]byte {
			return [][]byte{stunSays(b, netip.MustParseAddr("2001:db8::7"))}
		}, "not an IPv4 address", ipwatch.FaultFamily, 1},
		{"mapped address", func(b []byte, _ netip.AddrPort, _ int) [][]byte {
			return [][]byte{stunSays(b, netip.MustParseAddr("::ffff:198.51.100.7"))}
		}, "IPv4-mapped", ipwatch.FaultBody, 1},
		{"no sender", func(b []byte, _ netip.AddrPort, _ int) [][]byte {
			return [][]byte{stunSays(b, netip.IPv4Unspecified())}
		}, "unspecified", ipwatch.FaultBody, 1},
		{"refusing", func(b []byte, _ netip.AddrPort, _ int) [][]byte {
			return [][]byte{message(0x0111, [12]byte(b[8:20]), attribute(0x0009, []byte("\x00\x00\x05\x00\x1b]0;x")))}
		}, `500 \x1b]0;x`, ipwatch.FaultBody, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serveUDP(t, c.answer)
			begin := time.Now()
			got, err := (&ipwatch.STUN{Server: s.addr}).Probe(t.Context(), ipwatch.V4)
			if c.sent == 1 && time.Since(begin) >= ipwatch.Retransmit {
				c.sent = 0 // so busy is this computer: it may have asked again
			}
			if c.fault == "" {
				if err != nil || got.Addr.String() != c.want {
					t.Errorf("%+v, %v; want %s", got, err, c.want)
				}
			} else if e, ok := errors.AsType[*ipwatch.EchoError](err); !ok || e.Fault != c.fault || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v (%T), want fault %s with %q", err, err, c.fault, c.want)
			}
			packets := s.heard()
			if len(packets) != 1 || c.sent > 0 && len(packets[0]) != c.sent {
				t.Fatalf("packets %x, want %d of one port", packets, c.sent)
			}
			for _, again := range packets[0][1:] {
				if !slices.Equal(again, packets[0][0]) {
					t.Errorf("the retransmission is another question: %x, %x", packets[0][0], again)
				}
			}
		})
	}
}

// An answer that comes later than the question was given up reaches nobody: its port is closed, the next look has
// another one.
func TestSTUNLate(t *testing.T) {
	t.Parallel()
	first := make(chan []byte, 1)
	s := serveUDP(t, func(b []byte, from netip.AddrPort, _ int) [][]byte {
		select {
		case first <- b:
			return nil
		default:
			return [][]byte{stunSays(<-first, netip.MustParseAddr("198.51.100.66")), stunSays(b, from.Addr())}
		}
	})
	p := &ipwatch.STUN{Server: s.addr}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := p.Probe(ctx, ipwatch.V4); err == nil {
		t.Fatalf("%+v without an answer", got)
	}
	if got, err := p.Probe(t.Context(), ipwatch.V4); err != nil || got.Addr.String() != "127.0.0.1" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSTUNStops(t *testing.T) {
	t.Parallel()
	s := serveUDP(t, func([]byte, netip.AddrPort, int) [][]byte { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	_, err := (&ipwatch.STUN{Server: s.addr}).Probe(ctx, ipwatch.V4)
	if e, ok := errors.AsType[*ipwatch.EchoError](err); !ok || e.Fault != ipwatch.FaultStopped || time.Since(begin) >= ipwatch.ProbeTimeout {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
}

// TestProbeTimes: one retransmission after 500 ms, and an end after 3 s, also of a name look-up that hangs.
func TestProbeTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var sent []time.Duration
		p := &ipwatch.STUN{Server: "192.0.2.1:3478"}
		p.Wire.Dial = func(_ context.Context, network, addr string) (net.Conn, error) {
			if network != "udp4" || addr != "192.0.2.1:3478" {
				t.Errorf("dialled %s %s", network, addr)
			}
			here, there := net.Pipe()
			go func() {
				for buf := make([]byte, 64); ; {
					if _, err := there.Read(buf); err != nil {
						return
					}
					sent = append(sent, time.Since(begin))
				}
			}()
			return here, nil
		}
		if got, err := p.Probe(t.Context(), ipwatch.V4); err == nil || time.Since(begin) != ipwatch.ProbeTimeout {
			t.Errorf("%+v, %v after %s", got, err, time.Since(begin))
		}
		synctest.Wait()
		if !slices.Equal(sent, []time.Duration{0, ipwatch.Retransmit}) {
			t.Errorf("sent at %v", sent)
		}
		begin = time.Now()
		p = &ipwatch.STUN{Server: "stun.example.org:3478"}
		p.Wire.Resolve = func(ctx context.Context, _ ipwatch.Family, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if _, err := p.Probe(t.Context(), ipwatch.V4); err == nil || time.Since(begin) != ipwatch.ProbeTimeout {
			t.Errorf("a hanging look-up: %v after %s", err, time.Since(begin))
		}
	})
}

// Nobody listens: the system says so at once, and nothing waits for the end of the time.
func TestSTUNRefused(t *testing.T) {
	t.Parallel()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	gone := c.LocalAddr().String()
	c.Close()
	for _, server := range []string{gone, "no port", "[::1:3478"} {
		if got, err := (&ipwatch.STUN{Server: server}).Probe(t.Context(), ipwatch.V4); err == nil {
			t.Errorf("%s: %+v", server, got)
		}
	}
}

// TestNames: a server's name is looked up once an hour, anew after a failure and when it is forgotten, and only an
// address of the asked family is used.
func TestNames(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	silent.Store(true)
	s := serveUDP(t, func(b []byte, from netip.AddrPort, before int) [][]byte {
		if silent.Load() {
			return [][]byte{message(0x0111, [12]byte(b[8:20]))}
		}
		return honestSTUN(b, from, before)
	})
	_, port, _ := net.SplitHostPort(s.addr)
	var asked []string
	answer := []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("127.0.0.1")}
	p := &ipwatch.STUN{Server: "stun.example.org:" + port}
	p.Wire.Resolve = func(_ context.Context, f ipwatch.Family, host string) ([]netip.Addr, error) {
		asked = append(asked, f.String()+" "+host)
		return answer, nil
	}
	probe := func(want int) {
		t.Helper()
		_, err := p.Probe(t.Context(), ipwatch.V4)
		if (err == nil) == silent.Load() || len(asked) != want || asked[0] != "ipv4 stun.example.org" {
			t.Fatalf("%v; names asked for: %v, want %d", err, asked, want)
		}
	}
	probe(1)
	silent.Store(false)
	probe(2) // after a failure
	probe(2)
	p.Forget()
	probe(3)
	p.Forget()
	answer = answer[:1]
	if _, err := p.Probe(t.Context(), ipwatch.V4); err == nil || !strings.Contains(err.Error(), "no IPv4 address") {
		t.Errorf("a name without an IPv4 address: %v", err)
	}
}

// Another prober over the same wire, with its own message.
func TestDNSLook(t *testing.T) {
	t.Parallel()
	s := serveUDP(t, func(b []byte, from netip.AddrPort, _ int) [][]byte {
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil || len(m.Questions) != 1 || m.Response {
			return nil
		}
		m.Response = true
		var body dnsmessage.ResourceBody = &dnsmessage.AResource{A: from.Addr().As4()}
		if m.Questions[0].Type == dnsmessage.TypeTXT {
			body = txt(from.Addr().String())
		}
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: m.Questions[0].Type, Class: dnsmessage.ClassINET}, Body: body}}
		good, _ := m.Pack()
		m.ID++
		stray, _ := m.Pack()
		return [][]byte{stray, good}
	})
	for _, p := range ipwatch.DefaultWhoami() {
		if !strings.HasSuffix(p.Server, ":53") || strings.HasSuffix(p.Name, ".") {
			t.Errorf("default %+v", p)
		}
		p.Server = s.addr
		got, err := p.Probe(t.Context(), ipwatch.V4)
		if err != nil || got.Addr.String() != "127.0.0.1" || got.By != "dns "+s.addr {
			t.Errorf("%s: %+v, %v", p.Name, got, err)
		}
	}
	if n := len(s.heard()); n != 2 {
		t.Errorf("two looks came from %d ports", n)
	}
	if _, err := (&ipwatch.DNSWhoami{Server: s.addr, Name: strings.Repeat("x.", 200)}).Probe(t.Context(), ipwatch.V4); err == nil {
		t.Error("a name that is too long was asked for")
	}
}
