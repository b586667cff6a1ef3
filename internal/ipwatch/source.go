package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Format is how a source writes the address.
type Format string

const (
	// Text means that the whole body is the address. The zero value means Text.
	Text Format = "text"
	// Trace means lines of key=value with "ip" and "h", as Cloudflare's /cdn-cgi/trace writes them.
	Trace Format = "trace"
)

// Source is an echo service: asked over HTTPS, it answers with the address that it sees.
type Source struct {
	Name     string // for people; empty means the host of the URL
	Operator string // who runs it: all sources of one operator are one vote; compared without regard to case
	URL      string // https only
	Format   Format
	CAFile   string // PEM file: only these authorities are trusted for this source, the system's are not
	Family   Family // the only family that it serves; 0 is both
}

// DefaultSources returns the built-in list. AWS stands for the path to AWS, so its answer is required by
// [DefaultPolicy]; its dual-stack echo is the only one for IPv6 and the spare one for IPv4. icanhazip.com is left
// out because Cloudflare runs it since 2021: it would be no vote of its own.
func DefaultSources() []Source {
	return []Source{
		{Name: "checkip.amazonaws.com", Operator: "aws", URL: "https://checkip.amazonaws.com/", Format: Text, Family: V4},
		{Name: "www.cloudflare.com", Operator: "cloudflare", URL: "https://www.cloudflare.com/cdn-cgi/trace", Format: Trace},
		{Name: "api4.ipify.org", Operator: "ipify", URL: "https://api4.ipify.org/", Format: Text, Family: V4},
		{Name: "api6.ipify.org", Operator: "ipify", URL: "https://api6.ipify.org/", Format: Text, Family: V6},
		{Name: "checkip.global.api.aws", Operator: "aws", URL: "https://checkip.global.api.aws/", Format: Text},
	}
}

// knownOperator says who runs a well-known echo, so that one company cannot become two votes by mistake.
func knownOperator(host string) string {
	switch strings.ToLower(strings.TrimSuffix(host, ".")) { // as DNS reads it
	case "checkip.amazonaws.com", "checkip.global.api.aws":
		return "aws"
	case "cloudflare.com", "www.cloudflare.com", "api.cloudflare.com", "one.one.one.one", "1.1.1.1", "1.0.0.1",
		"icanhazip.com", "ipv4.icanhazip.com", "ipv6.icanhazip.com":
		return "cloudflare"
	case "api.ipify.org", "api4.ipify.org", "api6.ipify.org", "api64.ipify.org":
		return "ipify"
	}
	return ""
}

// normal returns the source with its defaults filled in and its operator in lower case, or what is wrong.
func (s Source) normal() (Source, error) {
	fail := func(format string, args ...any) (Source, error) {
		return Source{}, fmt.Errorf("address source %q: %w", clean(s.URL, 80), fmt.Errorf(format, args...))
	}
	u, err := s.parseURL()
	if err != nil {
		return fail("%w", err)
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if s.Name == "" {
		s.Name = host
	}
	s.Name = clean(s.Name, 60)
	s.Operator = operatorKey(s.Operator)
	if s.Operator == "" {
		return fail("has no operator: write who runs it, since sources of one operator are one vote")
	}
	if len(s.Operator) > 40 || strings.Trim(s.Operator, "abcdefghijklmnopqrstuvwxyz0123456789.-_ ") != "" {
		return fail("operator %q: want letters, digits, dot, dash and underscore, at most 40", clean(s.Operator, 40))
	}
	if known := knownOperator(host); known != "" && known != s.Operator {
		return fail("%s is run by %s: write operator = %q, or it would count twice", host, operatorName(known), known)
	}
	switch s.Format {
	case "":
		s.Format = Text
	case Text, Trace:
	default:
		return fail(`format %q: want "text" or "trace"`, clean(string(s.Format), 20))
	}
	if s.Family != 0 && s.Family != V4 && s.Family != V6 {
		return fail("%d is no address family", uint8(s.Family))
	}
	if a, err := netip.ParseAddr(host); err == nil {
		f := FamilyOf(a)
		if f == 0 || a.Zone() != "" {
			return fail("its host is not an address that can be asked")
		}
		if s.Family != 0 && s.Family != f {
			return fail("its host is an %s address, so it cannot be asked over %s", f.label(), s.Family.label())
		}
		s.Family = f
	}
	return s, nil
}

// parseURL checks that the URL is an https URL with a host and without a user, and parses it.
func (s Source) parseURL() (*url.URL, error) {
	if len(s.URL) > 2048 {
		return nil, errors.New("the URL is longer than 2048 characters")
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme == "http":
		return nil, errors.New("is plain http: anybody on the way could answer, so only https is asked")
	case u.Scheme != "https" || u.Opaque != "":
		return nil, errors.New("is not an https URL")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("has a user name in it, which would be sent to a stranger")
	case u.Fragment != "":
		return nil, errors.New("has a fragment (#…)")
	}
	return u, nil
}

// operatorKey is the form in which operators are compared.
func operatorKey(operator string) string {
	return strings.ToLower(strings.TrimSpace(operator))
}

// operatorName is the operator in a sentence.
func operatorName(key string) string {
	switch key {
	case "aws":
		return "AWS"
	case "cloudflare":
		return "Cloudflare"
	}
	return clean(key, 40)
}

// serves tells whether the source can be asked over this family.
func (s Source) serves(f Family) bool {
	return s.Family == 0 || s.Family == f
}

// operators returns the distinct operators of the sources, in their order.
func operators(sources []Source) []string {
	var ops []string
	for _, s := range sources {
		if key := operatorKey(s.Operator); !slices.Contains(ops, key) {
			ops = append(ops, key)
		}
	}
	return ops
}
