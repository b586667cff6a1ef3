package config

import (
	"errors"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// Parse reads the text of a configuration file and checks it; name is what errors call the file. Values that the
// file does not set are those of [Default]. The error is an [Errors] with every problem that could be found.
func Parse(data []byte, name string) (Config, error) {
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		return Config{}, syntaxError(err, name)
	}
	p := newProblems(name, locate(data))
	c := decode(&table{p: p, values: values})
	check(&c, p)
	if err := p.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func decode(root *table) Config {
	c := Default()
	for _, t := range root.tables("target") {
		c.Targets = append(c.Targets, decodeTarget(t))
	}
	decodeAddress(root.table("address"), &c.Address)
	decodeRules(root.table("rules"), &c.Rules)
	decodeNotify(root.table("notify"), &c.Notify)
	root.finish()
	return c
}

func decodeTarget(t *table) Target {
	v := DefaultTarget()
	t.text("cluster", &v.Cluster)
	t.text("name", &v.Name)
	t.strings("tags", &v.Tags)
	t.text("security-group", &v.SecurityGroup)
	if v.SecurityGroup != "" {
		v.Nodes, v.Group = nil, "" // a group named by its id needs no node to be found by
	}
	t.text("profile", &v.Profile)
	t.text("region", &v.Region)
	t.text("account", &v.Account)
	t.texts("nodes", &v.Nodes)
	for i, n := range v.Nodes {
		v.Nodes[i] = NodeType(n)
	}
	t.text("group", &v.Group)
	t.number("port", &v.Port)
	t.prefixes("trusted", &v.Trusted)
	t.text("address", &v.Address)
	if v.Address == "public" {
		v.Address = ""
	}
	t.finish()
	return v
}

// NodeType translates EMR's former words: the API still says master, older pages and group names say slave.
func NodeType(s string) string {
	switch s {
	case "master":
		return "primary"
	case "slave":
		return "core"
	}
	return s
}

func decodeAddress(t *table, v *Address) {
	t.mode("ipv4", &v.IPv4)
	t.mode("ipv6", &v.IPv6)
	t.prefixes("accept", &v.Accept)
	t.prefixes("never", &v.Never)
	t.prefixes("only", &v.Only)
	t.texts("stun", &v.STUN)
	t.duration("interval", &v.Interval)
	t.flag("egress-check", &v.EgressCheck)
	t.number("agree", &v.Agree)
	t.text("require", &v.Require)
	t.number("ipv6-prefix", &v.IPv6Prefix)
	for _, s := range t.tables("source") {
		source := Source{Format: FormatText}
		s.text("url", &source.URL)
		s.text("operator", &source.Operator)
		s.text("format", &source.Format)
		s.text("ca-file", &source.CAFile)
		s.finish()
		v.Sources = append(v.Sources, source)
	}
	t.finish()
}

func decodeRules(t *table, v *Rules) {
	t.duration("lease", &v.Lease)
	t.text("expired", &v.Expired)
	t.flag("probe", &v.Probe)
	t.strings("tags", &v.Tags)
	t.finish()
}

func decodeNotify(t *table, v *Notify) {
	t.flag("desktop", &v.Desktop)
	t.flag("changes", &v.Changes)
	t.finish()
}

// knownKeys are the keys of each table (target, address, address.source, rules, notify, and "" for the file itself), in the
// order of the documentation: whatever the decoders above ask for.
func knownKeys() map[string][]string {
	p := newProblems("", places{})
	one := []any{map[string]any{}}
	decode(&table{p: p, values: map[string]any{"target": one, "address": map[string]any{"source": one}}})
	return p.known
}

func newProblems(file string, at places) *problems {
	return &problems{
		file: file, at: at, seen: map[string]bool{},
		known: map[string][]string{}, all: sync.OnceValue(knownKeys),
	}
}

// syntaxError is go-toml's error about a file that is no TOML.
func syntaxError(err error, name string) error {
	e := &Error{File: name, Problem: strings.TrimPrefix(err.Error(), "toml: "), cause: err}
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		e.Line, e.Column = de.Position()
		for _, part := range de.Key() {
			e.Key = join(e.Key, part)
		}
	}
	return Errors{e}
}
