package config

import (
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// place is where something stands in the file, both from 1, the column in bytes as go-toml counts it.
type place struct{ line, column int }

// places says where every path stands: its key, and its value where the parser tells.
type places struct{ keys, values map[string]place }

// find is the place of a path's value, or of its key, or of the nearest thing around it that stands in the file.
func (at places) find(path string) place {
	for {
		if found, ok := at.values[path]; ok {
			return found
		}
		if found, ok := at.keys[path]; ok {
			return found
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return place{}
		}
		path = path[:cut]
	}
}

// locate finds every table, key and list element of a file that go-toml has already accepted.
//
// go-toml tells the place of its own errors only. Ours are found after decoding (an address that is no CIDR, two
// targets that are the same), and a person needs the line for them just as much. The parser package is called
// unstable because its API may change; it is used in this file alone, and for places, never for values.
func locate(data []byte) places {
	w := walker{at: places{map[string]place{}, map[string]place{}}, elements: map[string]int{}, lines: []int{0}}
	for i, b := range data {
		if b == '\n' {
			w.lines = append(w.lines, i+1)
		}
	}
	w.p.Reset(data)
	for w.p.NextExpression() {
		w.expression(w.p.Expression())
	}
	return w.at
}

// deepest is how far the walk goes into dotted keys and nested values: further than any key of ours, and not so far
// that a hostile file with thousands of levels costs more than it is worth.
const deepest = 8

type walker struct {
	p        unstable.Parser
	at       places
	elements map[string]int // how many [[table]] of a path there were
	table    string         // path of the table that the next key belongs to
	lines    []int          // offsets at which the lines begin
}

func (w *walker) expression(e *unstable.Node) {
	switch e.Kind {
	case unstable.Table:
		w.table, _ = w.header(e.Key())
	case unstable.ArrayTable:
		list, at := w.header(e.Key())
		w.table = element(list, w.elements[list])
		w.elements[list]++
		w.at.keys[w.table] = at
	case unstable.KeyValue:
		w.keyValue(w.table, e, 0)
	}
}

// header is the path of a table header and the place of its last part. A part that names a list of tables means
// the last table of it.
func (w *walker) header(keys unstable.Iterator) (path string, at place) {
	for depth := 0; depth < deepest && keys.Next(); depth++ {
		if n := w.elements[path]; n > 0 {
			path = element(path, n-1)
		}
		path = join(path, string(keys.Node().Data))
		at = w.mark(path, keys.Node().Raw)
	}
	return path, at
}

func (w *walker) keyValue(path string, e *unstable.Node, depth int) {
	for keys := e.Key(); depth < deepest && keys.Next(); depth++ {
		path = join(path, string(keys.Node().Data))
		w.mark(path, keys.Node().Raw)
	}
	w.value(path, e.Value(), depth)
}

func (w *walker) value(path string, v *unstable.Node, depth int) {
	if depth >= deepest {
		return
	}
	// The parser gives no range to arrays; those keep the place of their key.
	if v.Raw.Length > 0 {
		w.at.values[path] = w.place(v.Raw)
	}
	switch v.Kind {
	case unstable.Array:
		n := 0
		for it := v.Children(); it.Next(); n++ {
			w.value(element(path, n), it.Node(), depth+1)
		}
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			w.keyValue(path, it.Node(), depth)
		}
	}
}

// mark notes the first place of a path (a table may be continued by further headers) and returns this one.
func (w *walker) mark(path string, raw unstable.Range) place {
	at := w.place(raw)
	if _, ok := w.at.keys[path]; !ok {
		w.at.keys[path] = at
	}
	return at
}

func (w *walker) place(raw unstable.Range) place {
	offset := int(raw.Offset)
	next := sort.SearchInts(w.lines, offset+1)
	return place{line: next, column: offset - w.lines[next-1] + 1}
}

// element is the path of a list's element.
func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// join is the path of a key in a table. A key that is not bare is quoted, so that it can be shown on a terminal.
func join(path, key string) string {
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || key == "" {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
