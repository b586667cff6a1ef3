package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of the interval. Faster than 5 s burdens those who answer for nothing: an address behind a router
// changes a few times a day. Slower than an hour the program no longer follows.
const (
	shortestInterval = 5 * time.Second
	longestInterval  = time.Hour
)

func checkAddress(p *problems, a Address) {
	checkMode(p, "address.ipv4", a.IPv4, false, a.Never)
	checkMode(p, "address.ipv6", a.IPv6, true, a.Never)
	if a.IPv4.Kind == Off && a.IPv6.Kind == Off {
		p.add("address.ipv6", "is off, and so is ipv4: there is no address left to follow", "")
	}
	checkPrefixes(p, "address.accept", a.Accept)
	checkPrefixes(p, "address.never", a.Never)
	checkPrefixes(p, "address.only", a.Only)
	for i, prefix := range a.Accept {
		if prefix.IsValid() && prefix.Bits() == 0 {
			p.add(element("address.accept", i), fmt.Sprintf("%s would accept every address", prefix), "name the range of your lab")
		}
	}
	checkSTUN(p, a.STUN)
	if a.Interval < shortestInterval || a.Interval > longestInterval {
		p.add("address.interval", fmt.Sprintf("%s is not between 5s and 1h", a.Interval), "")
	}
	if a.IPv6Prefix != 128 && a.IPv6Prefix != 64 {
		p.add("address.ipv6-prefix", fmt.Sprintf("%d is neither 128 nor 64", a.IPv6Prefix), "")
	}
	checkSources(p, a.Sources)
	checkVote(p, a)
}

// checkSTUN looks at each server. The same one under two spellings would be two voices in the watch behind the router.
func checkSTUN(p *problems, servers []string) {
	var seen []string
	for i, s := range servers {
		path := element("address.stun", i)
		host, port, err := net.SplitHostPort(s)
		n, notNumber := strconv.ParseUint(port, 10, 16)
		addr, notAddr := netip.ParseAddr(host)
		same := net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), strconv.FormatUint(n, 10))
		if notAddr == nil {
			same = netip.AddrPortFrom(addr.Unmap(), uint16(n)).String()
		}
		switch {
		case err != nil || notNumber != nil || n == 0 || !isHost(host):
			p.add(path, fmt.Sprintf("%q is not host:port", s), `the usual port is 3478, and there is no "stun:" before the name; stun = [] turns it off`)
		case notAddr == nil && (addr.Unmap().IsUnspecified() || addr.Unmap().IsMulticast() || addr.Unmap() == netip.AddrFrom4([4]byte{255, 255, 255, 255})):
			p.add(path, fmt.Sprintf("%s is not the address of a server", addr), "")
		case slices.Contains(seen, same):
			p.add(path, s+" is there twice", "")
		}
		seen = append(seen, same)
	}
}

func checkMode(p *problems, path string, m Mode, six bool, never []netip.Prefix) {
	if m.Kind != Fixed {
		if m.Kind != Auto && m.Kind != Off && m.Kind != Local {
			p.add(path, fmt.Sprintf("%q is none of auto, off, local or an address", m.Kind), "")
		}
		return
	}
	addr := m.Fixed
	switch {
	case addr.Is4() == six || addr.Is4In6():
		p.add(path, fmt.Sprintf("%s is of the other family", addr), "")
	case addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast():
		p.add(path, fmt.Sprintf("%s is not an address that a cluster can see", addr), "")
	case slices.ContainsFunc(never, func(n netip.Prefix) bool { return n.Contains(addr) }):
		p.add(path, fmt.Sprintf("%s is in address.never", addr), "remove it from one of the two")
	}
}

// checkVote looks at the quorum. Who votes is only known when every source says whose it is.
func checkVote(p *problems, a Address) {
	if slices.ContainsFunc(a.Sources, func(s Source) bool { return !isLabel(s.Operator) }) {
		return
	}
	ops := a.Operators()
	if a.Agree < 1 || a.Agree > len(ops) {
		hint := "add a source of another operator, or lower it: with 1 a single source decides who may log in"
		if a.Agree < 1 {
			hint = "the usual number is 2"
		}
		p.add("address.agree", fmt.Sprintf("%d is not between 1 and the number of operators, %d (%s)", a.Agree, len(ops), strings.Join(ops, ", ")), hint)
	}
	if a.Require != "" && !slices.Contains(ops, a.Require) {
		p.add("address.require", fmt.Sprintf("%q is none of the operators %s", a.Require, strings.Join(ops, ", ")),
			`name one of them, or write require = "" for none`)
	}
}

func checkSources(p *problems, sources []Source) {
	for i, s := range sources {
		path := element("address.source", i)
		checkURL(p, path+".url", s.URL)
		if slices.ContainsFunc(sources[:i], func(o Source) bool { return sameURL(o.URL, s.URL) }) {
			p.add(path+".url", "is there twice", "one URL is one source")
		}
		if !isLabel(s.Operator) {
			p.add(path+".operator", fmt.Sprintf("%q is not a name of lower-case letters, digits and hyphens", s.Operator),
				"it says who runs the source; sources of one operator are one vote")
		}
		if s.Format != FormatText && s.Format != FormatTrace {
			p.add(path+".format", fmt.Sprintf("%q is neither text nor trace", s.Format), "")
		}
		checkText(p, path+".ca-file", s.CAFile)
		if strings.HasPrefix(s.CAFile, "~") {
			p.add(path+".ca-file", "~ is not resolved", "write the whole path")
		}
	}
}

func checkURL(p *problems, path, text string) {
	// The text itself is not shown: it may hold a password.
	u, err := url.Parse(text)
	switch {
	case text == "":
		p.add(path, "is missing", `a source is an echo that tells the caller's address: url = "https://…"`)
	case strings.Contains(text, "@"):
		p.add(path, "must not hold a user name or password", "it would be shown in status and logs")
	case err != nil || u.Host == "" || !isHost(u.Hostname()) || !isPort(u.Port()):
		p.add(path, "is not a web address", `write it as "https://host/path"`)
	case u.Scheme != "https":
		p.add(path, "is not https", "only a verified certificate proves whose answer it is")
	case u.Fragment != "":
		p.add(path, "has a fragment, which is never sent", "remove what follows #")
	}
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// sameURL compares as a server would: the host in any case, port 443 said or not, no path as the root.
func sameURL(a, b string) bool {
	u, err1 := url.Parse(a)
	v, err2 := url.Parse(b)
	if err1 != nil || err2 != nil {
		return a == b
	}
	plain := func(u *url.URL) string {
		host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
		return host + "/" + strings.TrimPrefix(u.EscapedPath(), "/") + "?" + u.RawQuery
	}
	return plain(u) == plain(v)
}
