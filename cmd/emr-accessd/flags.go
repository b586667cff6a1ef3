package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/spf13/pflag"
)

// flags are the flags of all commands: every key of the configuration works without a file.
type flags struct {
	set     *pflag.FlagSet
	config  string
	verbose bool
	json    bool

	profile, region, account, group, address string
	nodes, trusted                           []string
	port                                     int

	ipv4, ipv6, require, expired string
	accept, never, only, sources []string
	stun                         []string
	sourceCA                     string
	agree, ipv6Prefix            int
	egressCheck                  bool
	interval, lease              time.Duration
	tags                         map[string]string
	notify, notifyChanges        bool
}

func (f *flags) register(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVar(&f.config, "config", "", "configuration `file` (default: config.toml in your configuration folder)")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "say more on standard error")
	fs.BoolVar(&f.json, "json", false, "print the answer as JSON (see docs/json.md)")

	fs.StringVar(&f.profile, "profile", "", "AWS profile (default: AWS_PROFILE, or the default one)")
	fs.StringVar(&f.region, "region", "", "AWS region (default: AWS_REGION, or the profile's)")
	fs.StringVar(&f.account, "account", "", "refuse to write to any AWS account but this `id`")
	fs.StringVar(&f.group, "group", "", "which group of the cluster: managed or additional")
	fs.StringVar(&f.address, "address", "", `"local" for a private cluster over a VPN`)
	fs.StringSliceVar(&f.nodes, "nodes", nil, "whose groups: primary, core, task")
	fs.StringSliceVar(&f.trusted, "trusted", nil, "further `CIDR` ranges to keep open")
	fs.IntVar(&f.port, "port", 0, "the port to keep open (default 22)")

	fs.StringVar(&f.ipv4, "ipv4", "", "own IPv4 address: auto, off, local or a fixed one")
	fs.StringVar(&f.ipv6, "ipv6", "", "own IPv6 address: auto, off, local or a fixed one")
	fs.StringSliceVar(&f.accept, "accept", nil, "`CIDR` ranges to treat as public (labs)")
	fs.StringSliceVar(&f.never, "never", nil, "`CIDR` ranges that are never authorized")
	fs.StringSliceVar(&f.only, "only", nil, "authorize nothing outside of these `CIDR` ranges")
	fs.StringArrayVar(&f.sources, "source", nil, "own address echo as `operator=URL`, in place of the built-in ones")
	fs.StringSliceVar(&f.stun, "stun", nil, `STUN servers as host:port that notice changes behind the router; "" for none`)
	fs.StringVar(&f.sourceCA, "source-ca", "", "PEM `file` with the CA of the --source echoes")
	fs.IntVar(&f.agree, "agree", 0, "how many operators must agree (default 2)")
	fs.StringVar(&f.require, "require", "", "the operator that must be among them (default aws)")
	fs.BoolVar(&f.egressCheck, "egress-check", true, "compare the route to the node with the one to the echoes")
	fs.IntVar(&f.ipv6Prefix, "ipv6-prefix", 0, "length of the own IPv6 prefix: 128 or 64")
	fs.DurationVar(&f.interval, "interval", 0, "how often the address is looked at (default 30s)")
	fs.DurationVar(&f.lease, "lease", 0, "how long a rule outlives its laptop (default 24h)")
	fs.StringVar(&f.expired, "expired", "", "rules whose leases have ended: remove or report")
	fs.StringToStringVar(&f.tags, "rule-tag", nil, "further `key=value` tags for new rules")
	fs.BoolVar(&f.notify, "notify", true, "the daemon shows on the desktop what only you can settle")
	fs.BoolVar(&f.notifyChanges, "notify-changes", false, "and that your address has changed")
	for _, name := range []string{"notify", "notify-changes", "account", "address", "trusted", "ipv4", "ipv6", "accept", "never", "only", "source", "source-ca", "stun", "agree",
		"require", "egress-check", "ipv6-prefix", "interval", "lease", "expired", "rule-tag", "group", "nodes"} {
		_ = fs.MarkHidden(name) // docs/configuration.md names them; --help stays a screen
	}
}

func (f *flags) changed(name string) bool { return f.set != nil && f.set.Changed(name) }

// target changes the keys of a target that flags set.
func (f *flags) target(t *config.Target) error {
	set := func(name string, to *string, from string) {
		if f.changed(name) {
			*to = from
		}
	}
	set("profile", &t.Profile, f.profile)
	set("region", &t.Region, f.region)
	set("account", &t.Account, f.account)
	set("address", &t.Address, f.address)
	if f.changed("port") {
		t.Port = f.port
	}
	if t.SecurityGroup == "" {
		set("group", &t.Group, f.group)
		if f.changed("nodes") {
			t.Nodes = f.nodes
		}
	}
	return prefixes("trusted", f.trusted, &t.Trusted, f.changed("trusted"))
}

// admits refuses --nodes beside a --node of another role.
func (f *flags) admits(which nodeChoice) error {
	role := which.wants()
	switch {
	case !f.changed("nodes") || slices.Contains(f.nodes, role):
		return nil
	case which == nodeChoice{}:
		return hinted{errors.New("--nodes has no primary: no rule would admit you to the primary node"), exitUsage, "--node core:0 means another node"}
	}
	return usageError{fmt.Errorf("--node %s, but --nodes has no %s: no rule would admit you there", which, role), ""}
}

// apply changes the keys of [address], [rules] and [notify] that flags set.
func (f *flags) apply(c *config.Config) error {
	a, r := &c.Address, &c.Rules
	for _, x := range []struct {
		name string
		text string
		to   *config.Mode
	}{{"ipv4", f.ipv4, &a.IPv4}, {"ipv6", f.ipv6, &a.IPv6}} {
		if !f.changed(x.name) {
			continue
		}
		m, err := config.ParseMode(x.text)
		if err != nil {
			return usageError{fmt.Errorf("--%s: %w", x.name, err), ""}
		}
		*x.to = m
	}
	for _, x := range []struct {
		name string
		from []string
		to   *[]netip.Prefix
	}{{"accept", f.accept, &a.Accept}, {"never", f.never, &a.Never}, {"only", f.only, &a.Only}} {
		if err := prefixes(x.name, x.from, x.to, f.changed(x.name)); err != nil {
			return err
		}
	}
	if f.changed("source") {
		a.Sources = nil
		for _, s := range f.sources {
			op, url, ok := strings.Cut(s, "=")
			if !ok {
				return usageError{fmt.Errorf("--source %q: want operator=URL", s), ""}
			}
			a.Sources = append(a.Sources, config.Source{Operator: op, URL: url, Format: config.FormatText, CAFile: f.sourceCA})
		}
	}
	if f.changed("stun") {
		a.STUN = f.stun
	}
	if f.changed("agree") {
		a.Agree = f.agree
	}
	if f.changed("require") {
		a.Require = f.require
	}
	if f.changed("egress-check") {
		a.EgressCheck = f.egressCheck
	}
	if f.changed("ipv6-prefix") {
		a.IPv6Prefix = f.ipv6Prefix
	}
	if f.changed("interval") {
		a.Interval = f.interval
	}
	if f.changed("lease") {
		r.Lease = f.lease
	}
	if f.changed("expired") {
		r.Expired = f.expired
	}
	if f.changed("rule-tag") {
		r.Tags = f.tags
	}
	if f.changed("notify") {
		c.Notify.Desktop = f.notify
	}
	if f.changed("notify-changes") {
		c.Notify.Changes = f.notifyChanges
	}
	return nil
}

func prefixes(name string, from []string, to *[]netip.Prefix, changed bool) error {
	if !changed {
		return nil
	}
	*to = nil
	for _, s := range from {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return usageError{fmt.Errorf("--%s %q is no CIDR range, such as 198.51.100.0/28", name, s), ""}
		}
		*to = append(*to, p)
	}
	return nil
}
