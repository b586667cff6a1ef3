package ipwatch_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// trace is a Cloudflare trace as it comes; lines can be replaced in it.
const trace = "fl=29f1\nh=www.cloudflare.com\nip=52.94.236.248\nts=1763812800.123\nvisit_scheme=https\nuag=emr-accessd\ncolo=FRA\n" +
	"sliver=none\nhttp=http/1.1\nloc=DE\ntls=TLSv1.3\nsni=plaintext\nwarp=off\ngateway=off\nrbi=off\nkex=X25519MLKEM768\n"

func TestParseTrace(t *testing.T) {
	t.Parallel()
	const host = "www.cloudflare.com"
	swap := func(old, with string) string { return strings.Replace(trace, old, with, 1) }
	for _, good := range []string{
		trace, strings.ReplaceAll(trace, "\n", "\r\n"), strings.TrimRight(trace, "\n"),
		swap("h=www", "h=WWW"), swap("warp=off\ngateway=off\n", ""), swap("h="+host, "h="+host+":443"), swap("uag=emr-accessd", "uag=a=b=c"),
	} {
		a, err := ipwatch.ParseTrace([]byte(good), host)
		if err != nil || a.String() != addrX {
			t.Errorf("ParseTrace(%q) = %v, %v", good, a, err)
		}
	}
	for name, bad := range map[string]string{
		"empty":         "",
		"other host":    swap("h="+host, "h=www.cloudflare.com.example.net"),
		"no host":       swap("h="+host+"\n", ""),
		"no ip":         swap("ip="+addrX+"\n", ""),
		"empty ip":      swap("ip="+addrX, "ip="),
		"two ips":       swap("ip="+addrX, "ip="+addrX+"\nip="+addrY),
		"two in one":    swap("ip="+addrX, "ip="+addrX+", "+addrY),
		"empty line":    swap("\nts=", "\n\nts="),
		"prose":         "hello\n" + trace,
		"html":          "<html>\n" + trace,
		"upper case":    swap("ip=", "IP="),
		"blank in key":  swap("ip=", " ip="),
		"mapped":        swap("ip="+addrX, "ip=::ffff:"+addrX),
		"only the text": addrX,
	} {
		if a, err := ipwatch.ParseTrace([]byte(bad), host); err == nil {
			t.Errorf("%s: ParseTrace = %v, want an error", name, a)
		}
	}
	for name, bad := range map[string]string{
		"WARP":      swap("warp=off", "warp=on"),
		"WARP plus": swap("warp=off", "warp=plus"),
		"Gateway":   swap("gateway=off", "gateway=on"),
	} {
		_, err := ipwatch.ParseTrace([]byte(bad), host)
		e, ok := errors.AsType[*ipwatch.EchoError](err)
		if !ok || e.Fault != ipwatch.FaultWARP || !strings.Contains(e.Error(), strings.Fields(name)[0]) {
			t.Errorf("%s: error %v, want one that names it", name, err)
		}
	}
	for host, h := range map[string]string{"127.0.0.1": "127.0.0.1:8443", "::1": "[::1]:8443"} {
		if _, err := ipwatch.ParseTrace([]byte("h="+h+"\nip="+addrX), host); err != nil {
			t.Errorf("host %s, h=%s: %v", host, h, err)
		}
	}
	// A source without a host asks nobody: no trace is for it, whether it names no host or an empty one.
	for _, none := range []string{"fl=1\n", "h=\n", "h=:443\n", "h=[]\n"} {
		if a, err := ipwatch.ParseTrace([]byte(none+"ip="+addrX), ""); err == nil {
			t.Errorf("%q was taken for a trace of no host: %v", none, a)
		}
	}
}

// FuzzParseText: what is accepted is the canonical text of one address, up to blanks around it and to the ways of
// writing IPv6.
func FuzzParseText(f *testing.F) {
	for _, s := range []string{addrX, addr6 + "\n", "squid/4.10.1.2", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3.4, 5.6.7.8", "\x00", "0x7f.1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := ipwatch.ParseText(body)
		checkParsed(t, err)
		if err != nil {
			return
		}
		text := strings.Trim(string(body), " \t\r\n")
		if ipwatch.FamilyOf(a) == 0 || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			t.Errorf("accepted %s", a)
		}
		if a.Is4() && text != a.String() {
			t.Errorf("%q was taken for %s", body, a)
		}
		if strings.Trim(text, "0123456789abcdefABCDEF:.") != "" {
			t.Errorf("%q was taken for an address", body)
		}
	})
}

func FuzzParseTrace(f *testing.F) {
	f.Add([]byte(trace), "www.cloudflare.com")
	f.Add([]byte("h=[::1]:1\nip=1.2.3.4"), "::1")
	f.Add([]byte("h=\nip=1.2.3.4\nwarp=on"), "")
	f.Add([]byte("r=\nip=1.2.3.4"), "")
	f.Add([]byte("h=\nip=1.2.3.4"), "")
	f.Fuzz(func(t *testing.T, body []byte, host string) {
		if strings.ContainsAny(host, "\r\n") {
			t.Skip("no URL has such a host")
		}
		a, err := ipwatch.ParseTrace(body, host)
		checkParsed(t, err)
		if err != nil {
			return
		}
		lines := func(key string) (values []string) {
			for line := range strings.SplitSeq(string(body), "\n") {
				if value, ok := strings.CutPrefix(line, key+"="); ok {
					values = append(values, strings.TrimRight(value, "\r"))
				}
			}
			return values
		}
		// Outside ASCII letters fold in ways that ToLower does not know, as the Kelvin sign does.
		hosts, ascii := lines("h"), isASCII(string(body)+host)
		if len(lines("ip")) != 1 || len(hosts) != 1 || hosts[0] == "" ||
			ascii && !strings.Contains(strings.ToLower(hosts[0]), strings.ToLower(strings.Trim(host, "[]"))) {
			t.Errorf("host %q, %q was taken for a trace of %s", host, body, a)
		}
		text := "\n" + string(body)
		if strings.Contains(text, "\nwarp=on") || strings.Contains(text, "\ngateway=on") {
			t.Errorf("%q was taken although it is WARP or Gateway", body)
		}
	})
}

func checkParsed(t *testing.T, err error) {
	t.Helper()
	if err != nil && (err.Error() != ipwatch.Clean(err.Error(), 200) || err.Error() == "") {
		t.Errorf("the error is not safe to print: %q", err)
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J\nb\u202ec\u2028\xff\x00\u200b\ufeff\u00a0", 40)
	f.Add(strings.Repeat("ä", 100), 10)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(0, min(limit, 1000))
		got := ipwatch.Clean(s, limit)
		if n := len([]rune(got)); n > limit+1 {
			t.Errorf("%d characters, limit %d", n, limit)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || r == unicode.ReplacementChar && !strings.ContainsRune(s, r) {
				t.Errorf("%q has %U in it", got, r)
			}
		}
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain ä 日":      "plain ä 日",
		"a\x1b[2J":       `a\x1b[2J`,
		"a\nb\tc":        `a\nb\tc`,
		"a\u202eb":       `a\u202eb`,
		"a\u2028b":       `a\u2028b`,
		"a\u200bb\ufeff": `a\u200bb\ufeff`,
		"\xff":           `\xff`,
		"it's":           "it's",
		"\x00'":          `\x00'`,
	} {
		if got := ipwatch.Clean(in, 100); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"0123456789": "0123456789", "0123456789a": "0123456789…", "012345678\n": "012345678…"} {
		if got := ipwatch.Clean(in, 10); got != want {
			t.Errorf("Clean(%q, 10) = %q, want %q", in, got, want)
		}
	}
}
