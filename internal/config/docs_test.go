package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

const docs = "../../docs/configuration.md"

var (
	heading = regexp.MustCompile("^#+ `\\[+([a-z.]+)\\]+`")
	row     = regexp.MustCompile("^\\| `([a-z0-9-]+)` \\| (.+?) \\| (.+) \\|$")
)

// documented reads the tables of docs/configuration.md: for each table its keys, and for each key its default.
func documented(t *testing.T) (keys map[string][]string, defaults map[string]string) {
	t.Helper()
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	keys, defaults = map[string][]string{}, map[string]string{}
	table := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if m := heading.FindStringSubmatch(line); m != nil {
			table = m[1]
		} else if strings.HasPrefix(line, "## ") {
			table = ""
		}
		if m := row.FindStringSubmatch(line); m != nil && table != "" {
			keys[table] = append(keys[table], m[1])
			defaults[table+"."+m[1]] = m[2]
		}
	}
	return keys, defaults
}

// Every key that is read is documented, and no other.
func TestDocumentedKeys(t *testing.T) {
	keys, _ := documented(t)
	known := config.KnownKeys()
	delete(known, "") // the tables themselves
	for _, m := range []map[string][]string{keys, known} {
		for _, list := range m {
			slices.Sort(list)
		}
	}
	if diff := cmp.Diff(known, keys); diff != "" {
		t.Errorf("docs/configuration.md and the keys that are read (-read +documented)\n%s", diff)
	}
}

// Each documented default, written into a file, changes nothing.
func TestDocumentedDefaults(t *testing.T) {
	_, defaults := documented(t)
	written := 0
	for key, value := range defaults {
		value, isCode := strings.CutPrefix(value, "`")
		value = strings.TrimSuffix(value, "`")
		if !isCode {
			continue // none, required, the built-in ones
		}
		written++
		table, name, _ := strings.Cut(key, ".")
		if n, isSource := strings.CutPrefix(name, "source."); isSource {
			table, name = "address.source", n
		}
		with, without := "", ""
		switch table {
		case "target":
			without = "[[target]]\nname = 'x'\n"
		case "address.source":
			without = "[address]\nagree = 1\nrequire = ''\n[[address.source]]\nurl = 'https://a.example/'\noperator = 'a'\n"
		default:
			without = "[" + table + "]\n"
		}
		with = without + name + " = " + value + "\n"
		if diff := cmp.Diff(parse(t, without), parse(t, with), comparers, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the documented default of %s is %s, but (-default +documented)\n%s", key, value, diff)
		}
	}
	if written < 15 {
		t.Errorf("only %d defaults found: has the form of the tables changed?", written)
	}
}

// Every example works, and the one that writes all defaults out has every key and equals Default.
func TestDocumentedExamples(t *testing.T) {
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	var all string
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	if len(examples) < 4 {
		t.Fatalf("%d examples found", len(examples))
	}
	for _, m := range examples {
		parse(t, m[1])
		if strings.Contains(m[1], "[rules]") {
			all = m[1]
		}
	}
	if diff := cmp.Diff(config.Default(), parse(t, all), comparers, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-default +documented)\n%s", diff)
	}
	for table, keys := range config.KnownKeys() {
		if table != "address" && table != "rules" && table != "notify" {
			continue
		}
		for _, key := range keys {
			if !strings.Contains(all, "\n"+key+" = ") {
				t.Errorf("%s.%s is missing among the defaults written out", table, key)
			}
		}
	}
}

func parse(t *testing.T, text string) config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text), "c.toml")
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}
