package ipwatch

import (
	"bytes"
	"net/netip"
	"strings"
)

// MaxBody is the most that is read of an answer, in bytes. Cloudflare's trace has about 300.
const MaxBody = 2 << 10

// parseText reads a body that is one address and nothing else. Finding an address inside of a larger text is what
// made other tools believe error pages and version numbers.
func parseText(body []byte) (netip.Addr, error) {
	text := string(bytes.Trim(body, " \t\r\n"))
	if text == "" {
		return netip.Addr{}, fault(FaultBody, "the answer is empty")
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fault(FaultBody, "the answer is not one address: %q", clean(text, 60))
	}
	if err := sendable(a); err != nil {
		return netip.Addr{}, fault(FaultBody, "the answer is not an address of a sender: %v", err)
	}
	return a, nil
}

// parseTrace reads a Cloudflare trace, lines of key=value. It must name the asked host (with or without its port) in
// h, so that a trace of some other place cannot be passed on, and must not say that the traffic came through
// WARP or Gateway: such an address is shared with strangers.
func parseTrace(body []byte, host string) (netip.Addr, error) {
	values := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimRight(string(body), "\r\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return netip.Addr{}, fault(FaultBody, "the answer is not a trace, it has the line %q", clean(line, 60))
		}
		if _, twice := values[key]; twice {
			return netip.Addr{}, fault(FaultBody, "the trace has %s twice", clean(key, 20))
		}
		values[key] = value
	}
	name, _, _ := strings.Cut(values["h"], ":")
	if strings.HasPrefix(values["h"], "[") {
		name, _, _ = strings.Cut(values["h"][1:], "]")
	}
	asked := strings.Trim(host, "[]")
	if asked == "" || !strings.EqualFold(name, asked) && !strings.EqualFold(values["h"], asked) {
		return netip.Addr{}, fault(FaultBody, "the trace is for the host %q, not for %s", clean(values["h"], 60), asked)
	}
	for _, way := range []struct{ key, name string }{{"warp", "WARP"}, {"gateway", "Gateway"}} {
		if v := values[way.key]; v != "" && v != "off" {
			return netip.Addr{}, fault(FaultWARP, "the traffic leaves through Cloudflare %s (%s=%s), an address shared with strangers",
				way.name, way.key, v)
		}
	}
	ip, ok := values["ip"]
	if !ok {
		return netip.Addr{}, fault(FaultBody, "the trace has no ip")
	}
	return parseText([]byte(ip))
}
