package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	upperDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	lowerHex    = "0123456789abcdef"
	labelBytes  = "abcdefghijklmnopqrstuvwxyz0123456789-"
)

// isID tells whether an id has its prefix and then only bytes of one kind, at least eight of them: ids go into
// requests, file names and ssh configurations, so their form is checked, and AWS is asked whether they exist.
func isID(id, prefix, bytes string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) >= 8 && len(rest) <= 40 && strings.Trim(rest, bytes) == ""
}

// isLabel tells whether a text is one label of a host name, in lower case (RFC 1123, section 2.1). The SDK builds
// host names from regions.
func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, labelBytes) == "" && s[0] != '-' && s[len(s)-1] != '-'
}

// isHost tells whether a text is a host name or an address.
func isHost(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Zone() == ""
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(strings.ToLower(s), "."), ".") {
		if !isLabel(label) {
			return false
		}
	}
	return len(s) <= 253
}

// checkText refuses what no name on AWS or in a file has, and what would play tricks on a terminal.
func checkText(p *problems, path, s string) {
	strange := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, strange):
		p.add(path, fmt.Sprintf("%q has control characters", s), "")
	case len(s) > 256:
		p.add(path, "is longer than 256 bytes", "")
	}
}

// checkTags holds tags against EC2's limits: keys of 1 to 128 characters, values of up to 256.
func checkTags(p *problems, path string, tags map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		at := join(path, k)
		switch v := tags[k]; {
		case k == "" || utf8.RuneCountInString(k) > 128:
			p.add(at, "is not a tag key of 1 to 128 characters", "")
		default:
			checkText(p, at, k)
			checkText(p, at, v)
		}
	}
}

// checkPrefixes refuses ranges that are not written as AWS keeps them, and repetitions.
func checkPrefixes(p *problems, path string, prefixes []netip.Prefix) {
	for i, prefix := range prefixes {
		at := element(path, i)
		switch {
		case !prefix.IsValid():
			p.add(at, "is not an address range", "")
		case prefix.Addr().Is4In6():
			p.add(at, fmt.Sprintf("%s is an IPv4 range in IPv6 clothes", prefix), "write it as IPv4")
		case prefix != prefix.Masked():
			p.add(at, fmt.Sprintf("%s does not begin at its own network", prefix),
				fmt.Sprintf("write \"%s\" for the range, or \"%s\" for the one address", prefix.Masked(), netip.PrefixFrom(prefix.Addr(), prefix.Addr().BitLen())))
		case slices.Contains(prefixes[:i], prefix):
			p.add(at, prefix.String()+" is there twice", "")
		}
	}
}
