//go:build unix

package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestMedians(t *testing.T) {
	for _, tt := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}} {
		if got := median(tt.of); got != tt.want {
			t.Errorf("the median of %v is %v", tt.of, got)
		}
	}
	// The ratio is that of neighbours: both were slow together.
	r := row{Name: "x", Other: "ssh", Aim: 1, Bytes: 2e6, Pairs: []pair{{1, 2}, {10, 20}, {3, 2}}}.done()
	if r.Ours != 3 || r.Theirs != 2 || r.Ratio != 0.5 {
		t.Errorf("%+v", r)
	}
	var b strings.Builder
	(&results{Rows: []row{r}, Skipped: []string{"SOCKS: none"}}).table(&b)
	if got := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(got, "x 3.00 s (1 MB/s) 2.00 s (1 MB/s) 0.50 1.0 3 ssh") || !strings.Contains(got, "not measured: SOCKS") {
		t.Errorf("the table is\n%s", b.String())
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-n 0", "-n 51", "more", "-nonsense"} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
}

// A relay passes everything on in both directions, later by the round trip, and notes when the client came and went.
func TestRelay(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	for _, roundTrip := range []time.Duration{0, 100 * time.Millisecond} {
		r, err := newRelay(server.Addr().String(), roundTrip)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		c, err := net.Dial("tcp", r.addr())
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("x", 1<<20)
		go func() {
			_, _ = io.WriteString(c, text)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		took := time.Since(begun)
		if err != nil || string(got) != text || took < roundTrip {
			t.Errorf("%d bytes after %v (%v)", len(got), took, err)
		}
		c.Close()
		if l := r.first(t.Context()); l == nil || l.began.Before(begun) || l.ended.Before(l.began) {
			t.Errorf("noted %+v", l)
		}
		r.close()
	}
}
