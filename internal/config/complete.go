package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
)

// targetHead is a line that begins a target.
var targetHead = regexp.MustCompile(`^[ \t]*\[\[[ \t]*target[ \t]*\]\][ \t]*(#.*)?\r?$`)

// Complete writes a profile and a region into the targets of a file's text that have none: one line each, below the
// line that begins the target, and all else as it was. changed is the number of targets that got something. What is
// made is read again and compared: an error means that the text has a form that this does not know.
func Complete(text []byte, profile, region string) (completed []byte, changed int, err error) {
	was, err := Parse(text, "")
	if err != nil {
		return nil, 0, err
	}
	want := slices.Clone(was.Targets)
	added := make([]string, len(want))
	for i := range want {
		if t := &want[i]; t.Profile == "" && profile != "" {
			t.Profile = profile
			added[i] += fmt.Sprintf("profile = %s\n", Quote(profile))
		}
		if t := &want[i]; t.Region == "" && region != "" {
			t.Region = region
			added[i] += fmt.Sprintf("region = %s\n", Quote(region))
		}
		if added[i] != "" {
			changed++
		}
	}
	var out bytes.Buffer
	next := 0
	for line := range bytes.Lines(text) {
		out.Write(line)
		if targetHead.Match(bytes.TrimSuffix(line, []byte("\n"))) && next < len(added) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				out.WriteByte('\n')
			}
			out.WriteString(added[next])
			next++
		}
	}
	now, err := Parse(out.Bytes(), "")
	if err != nil {
		return nil, 0, err
	}
	expected := was
	expected.Targets = want
	if !reflect.DeepEqual(now, expected) {
		return nil, 0, errors.New("the file has a form that is not written to")
	}
	return out.Bytes(), changed, nil
}

// Quote writes a basic string (TOML 1.0, "String"): nothing in s ends it.
func Quote(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
