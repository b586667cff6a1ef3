package tunnel_test

import (
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/tunnel"
)

func TestParseForward(t *testing.T) {
	for _, tt := range []struct{ text, bind, to string }{
		{"8088:localhost:80", "localhost:8088", "localhost:80"},
		{"localhost:8088:ip-10-0-0-1.ec2.internal:80", "localhost:8088", "ip-10-0-0-1.ec2.internal:80"},
		{"127.0.0.1:0:db:5432", "127.0.0.1:0", "db:5432"},
		{"[::1]:8088:[2001:db8::1]:80", "[::1]:8088", "[2001:db8::1]:80"},
		{"8088:[2001:db8::1]:80", "localhost:8088", "[2001:db8::1]:80"},
		{"*:8088:h:80", "*:8088", "h:80"},
		{":8088:h:80", "*:8088", "h:80"},
		{"8088:/var/run/x.sock", "localhost:8088", "unix:/var/run/x.sock"},
		{"8088:unix:/var/run/x.sock", "localhost:8088", "unix:/var/run/x.sock"},
		{"/tmp/here:h:80", "unix:/tmp/here", "h:80"},
		{"unix:/tmp/here:unix:/tmp/there", "unix:/tmp/here", "unix:/tmp/there"},
		{"/tmp/here:/tmp/there", "unix:/tmp/here", "unix:/tmp/there"},
	} {
		f, err := tunnel.ParseForward(tt.text)
		if err != nil || f.Bind.String() != tt.bind || len(f.To) != 1 || f.To[0].String() != tt.to {
			t.Errorf("%q: %v to %v, %v; want %s to %s", tt.text, f.Bind, f.To, err, tt.bind, tt.to)
		}
	}
	for _, text := range []string{"", "8088", "8088:h", "h:80", "8088:h:", "8088:h:0", "8088:h:65536", "8088:h:-1", "8088::80", "x:h:80", "65536:h:80",
		"name.of.mine:8088:h:80", "::1:8088:h:80", "[::1:8088:h:80", "[::1]8088:h:80", "1:2:3:4:5", "8088:h h:80", "8088:h\n:80", "8088:[]:80", "unix:x:h:80", "8088:un[ix]:80", ":::", "/"} {
		if f, err := tunnel.ParseForward(text); err == nil {
			t.Errorf("%q is taken for %+v", text, f)
		} else if strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%q: the message has control characters: %q", text, err)
		}
	}
}

func TestParseBind(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		exposed    bool
	}{
		{"8157", "localhost:8157", false}, {"localhost:0", "localhost:0", false}, {"127.0.0.1:8157", "127.0.0.1:8157", false}, {"127.9.9.9:1", "127.9.9.9:1", false},
		{"[::1]:8157", "[::1]:8157", false}, {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", false}, {"unix:/run/me/s", "unix:/run/me/s", false}, {"/run/me/s", "unix:/run/me/s", false},
		{"0.0.0.0:8157", "0.0.0.0:8157", true}, {"*:8157", "*:8157", true}, {":8157", "*:8157", true}, {"[::]:8157", "[::]:8157", true}, {"192.0.2.1:8157", "192.0.2.1:8157", true},
	} {
		if b, err := tunnel.ParseBind(tt.text); err != nil || b.String() != tt.want || b.Exposed() != tt.exposed {
			t.Errorf("%q: %v, exposed %v, %v; want %s", tt.text, b, b.Exposed(), err, tt.want)
		}
	}
	for _, text := range []string{"", "x", "-1", "65536", "host:8157", "unix:s", "unix:", "1:2:3", "127.1:80", "0:8157", "[]:80", "[::1]", "unix:/a\x00b"} {
		if b, err := tunnel.ParseBind(text); err == nil {
			t.Errorf("%q is taken for %v", text, b)
		}
	}
}

// Whatever is written: no panic, and never a port that others can reach unless an address says so.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"8088:localhost:80", "[::1]:1:[::2]:2", "/a:/b", "unix:/a:h:1", "*:1:h:2", "8157", "unix:/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if fw, err := tunnel.ParseForward(text); err == nil {
			check(t, text, fw.Bind)
			if len(fw.To) != 1 || fw.To[0].Addr == "" {
				t.Errorf("%q goes nowhere: %+v", text, fw)
			}
		}
		if b, err := tunnel.ParseBind(text); err == nil {
			check(t, text, b)
		}
	})
}

func check(t *testing.T, text string, b tunnel.Bind) {
	again, err := tunnel.ParseBind(b.String())
	if err != nil || again != b {
		t.Errorf("%q is %+v, which reads as %+v, %v", text, b, again, err)
	}
	if b.Exposed() && !strings.ContainsAny(text, ".:*") {
		t.Errorf("%q is exposed: %+v", text, b)
	}
}

// The names are what people type; ports are real ones, and none is offered where an ordinary user cannot listen.
func TestUIs(t *testing.T) {
	seen := map[string]bool{}
	for _, u := range tunnel.UIs() {
		for _, n := range append([]string{u.Name}, u.Aliases...) {
			if seen[n] || n != strings.ToLower(n) {
				t.Errorf("the name %q", n)
			}
			seen[n] = true
			if got, ok := tunnel.FindUI(strings.ToUpper(n)); !ok || got.Title != u.Title {
				t.Errorf("%q finds %v", n, got)
			}
		}
		if len(u.Ports) == 0 || u.LocalPort() < 1024 || u.LocalPort() > 65535 || !strings.HasPrefix(u.Path, "/") || u.Title == "" {
			t.Errorf("%+v", u)
		}
	}
	if _, ok := tunnel.FindUI("mainframe"); ok {
		t.Error("a mainframe was found")
	}
}
