package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// table reads one table of the file. Each reader asks for a key by its name, which also makes the name known, and
// leaves the default in place when the key is not there; in the end [table.finish] reports what nobody asked for.
//
// go-toml's own decoding into structs stops at the first value of a wrong type; a file with three mistakes would
// need three tries. So go-toml parses into plain values, and these few readers put them in place.
type table struct {
	p      *problems
	path   string
	values map[string]any
}

// get is the value of a key, if it is of type T. Another type is a problem.
func get[T any](t *table, key, want string) (T, bool) {
	t.p.known[keyOf(t.path)] = append(t.p.known[keyOf(t.path)], key)
	v, there := t.values[key]
	if !there {
		var none T
		return none, false
	}
	return as[T](t.p, join(t.path, key), v, want)
}

func as[T any](p *problems, path string, v any, want string) (T, bool) {
	got, ok := v.(T)
	if !ok {
		p.add(path, "must be "+want+", not "+typeName(v), "")
	}
	return got, ok
}

func (t *table) text(key string, to *string) {
	if s, ok := get[string](t, key, "a text in quotes"); ok {
		*to = s
	}
}

func (t *table) number(key string, to *int) {
	n, ok := get[int64](t, key, "a whole number")
	if !ok {
		return
	}
	if *to = int(n); int64(*to) != n { // where an int has 32 bits
		t.p.add(join(t.path, key), fmt.Sprintf("%d is too large", n), "")
	}
}

func (t *table) flag(key string, to *bool) {
	if b, ok := get[bool](t, key, "true or false"); ok {
		*to = b
	}
}

func (t *table) duration(key string, to *time.Duration) {
	s, ok := get[string](t, key, `a duration in quotes, such as "30s" or "24h"`)
	if !ok {
		return
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.p.add(join(t.path, key), fmt.Sprintf("%q is not a duration", s), `write a number and a unit, such as "30s", "10m" or "24h"`)
		return
	}
	*to = d
}

func (t *table) mode(key string, to *Mode) {
	s, ok := get[string](t, key, "a text in quotes")
	if !ok {
		return
	}
	m, err := ParseMode(s)
	if err != nil {
		t.p.add(join(t.path, key), err.Error(), "")
		return
	}
	*to = m
}

func (t *table) texts(key string, to *[]string) {
	list, ok := get[[]any](t, key, "a list of texts")
	if !ok {
		return
	}
	*to = make([]string, len(list)) // not nil: an empty list is an answer too
	for i, v := range list {
		(*to)[i], _ = as[string](t.p, element(join(t.path, key), i), v, "a text in quotes")
	}
}

// prefixes keeps an invalid element in its place, so that later checks name the right one.
func (t *table) prefixes(key string, to *[]netip.Prefix) {
	var list []string
	t.texts(key, &list)
	if len(list) == 0 {
		return
	}
	*to = make([]netip.Prefix, len(list))
	for i, s := range list {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			problem, hint := notPrefix(s)
			t.p.add(element(join(t.path, key), i), problem, hint)
		}
		(*to)[i] = prefix
	}
}

func notPrefix(s string) (problem, hint string) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return fmt.Sprintf("%q is an address, not a range", s),
			fmt.Sprintf("write \"%s\" for this address alone", netip.PrefixFrom(addr, addr.BitLen()))
	}
	return fmt.Sprintf("%q is not an address range", s), `write it as "198.51.100.0/28" or "2001:db8::/56"`
}

func (t *table) strings(key string, to *map[string]string) {
	m, ok := get[map[string]any](t, key, `a table of texts, such as { team = "data" }`)
	if !ok {
		return
	}
	*to = make(map[string]string, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		(*to)[k], _ = as[string](t.p, join(join(t.path, key), k), m[k], "a text in quotes")
	}
}

// table reads a [table] within this one; a missing one is empty.
func (t *table) table(key string) *table {
	values, _ := get[map[string]any](t, key, "a table, ["+join(t.path, key)+"]")
	return &table{p: t.p, path: join(t.path, key), values: values}
}

// tables reads a list of tables within this one.
func (t *table) tables(key string) []*table {
	want := "a list of tables, each under [[" + keyOf(join(t.path, key)) + "]]"
	list, _ := get[[]any](t, key, want)
	var found []*table
	for i, v := range list {
		path := element(join(t.path, key), i)
		values, _ := as[map[string]any](t.p, path, v, "a table") // a wrong one keeps its place
		found = append(found, &table{p: t.p, path: path, values: values})
	}
	return found
}

// finish reports the keys that nobody asked for.
func (t *table) finish() {
	here := keyOf(t.path)
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if slices.Contains(t.p.known[here], key) {
			continue
		}
		path := join(t.path, key)
		t.p.addAt(t.p.at.keys[path], path, "unknown key", suggest(t.p.all(), here, key))
		// A misspelt key is not missing too.
		if meant := nearest(key, t.p.known[here]); meant != "" && t.values[meant] == nil {
			t.p.seen[join(t.path, meant)] = true
		}
	}
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}
