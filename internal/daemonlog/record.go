package daemonlog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Record is one line of the log, taken apart.
type Record struct {
	At     *time.Time        `json:"at"`    // nil where the line does not tell, as in the trace of a panic
	Level  string            `json:"level"` // "error", "warning", "info" or "debug"; "" where the line does not tell
	From   string            `json:"from"`  // "emr-accessd", or who else wrote into the service's journal
	Text   string            `json:"text"`  // the message; of a line that is no record, the line
	Fields map[string]string `json:"fields"`
}

const ownName = "emr-accessd"

// ParseLine takes a line of the log file apart.
func ParseLine(line string) Record {
	r := Record{From: ownName, Text: line, Fields: map[string]string{}}
	fields := attributes(line)
	if _, ok := fields[slog.MessageKey]; !ok {
		if strings.HasPrefix(line, ownName+": error: ") {
			r.Level = "error"
		}
		return r
	}
	if at, err := time.Parse(time.RFC3339Nano, fields[slog.TimeKey]); err == nil {
		at = at.UTC()
		r.At = &at
	}
	var level slog.Level
	if level.UnmarshalText([]byte(fields[slog.LevelKey])) == nil {
		r.Level = levelName(level)
	}
	r.Text = fields[slog.MessageKey]
	for _, key := range []string{slog.TimeKey, slog.LevelKey, slog.MessageKey} {
		delete(fields, key)
	}
	r.Fields = fields
	return r
}

func levelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warning"
	case l >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}

// ParseJournal takes an entry apart that `journalctl --output=json` printed (systemd.journal-fields(7)).
func ParseJournal(entry []byte) (Record, error) {
	var e struct {
		Message  journalText `json:"MESSAGE"`
		Priority journalText `json:"PRIORITY"`
		From     journalText `json:"SYSLOG_IDENTIFIER"`
		At       journalText `json:"__REALTIME_TIMESTAMP"` // microseconds
	}
	if err := json.Unmarshal(entry, &e); err != nil {
		return Record{}, fmt.Errorf("journal: %w", err)
	}
	r := Record{Text: string(e.Message), Fields: map[string]string{}}
	if e.From == ownName || e.From == "" {
		r = ParseLine(string(e.Message))
	}
	if e.From != "" {
		r.From = string(e.From)
	}
	if us, err := strconv.ParseInt(string(e.At), 10, 64); err == nil {
		at := time.UnixMicro(us).UTC()
		r.At = &at
	}
	switch e.Priority {
	case "0", "1", "2", "3":
		r.Level = "error"
	case "4":
		r.Level = "warning"
	case "5", "6":
		r.Level = "info"
	case "7":
		r.Level = "debug"
	}
	return r, nil
}

// journalText is a field of the journal: text; bytes as numbers, where they are no text; several values, of which the
// first counts; or null.
type journalText string

// UnmarshalJSON implements [json.Unmarshaler]. What it does not know is empty.
func (t *journalText) UnmarshalJSON(data []byte) error {
	var text string
	var bytes []int
	var several []json.RawMessage
	switch {
	case json.Unmarshal(data, &text) == nil:
		*t = journalText(text)
	case json.Unmarshal(data, &bytes) == nil:
		raw := make([]byte, len(bytes))
		for i, b := range bytes {
			raw[i] = byte(b)
		}
		*t = journalText(strings.ToValidUTF8(string(raw), "\uFFFD"))
	case json.Unmarshal(data, &several) == nil && len(several) > 0:
		return t.UnmarshalJSON(several[0])
	}
	return nil
}

// attributes reads what [slog.TextHandler] writes: key=value, each in Go's quotes where it has to be. It is nil for any
// other line. Of a key that is there twice, the first value counts.
func attributes(line string) map[string]string {
	out := map[string]string{}
	for rest := line; rest != ""; {
		key, after, ok := word(rest, "= ")
		if !ok || key == "" || !strings.HasPrefix(after, "=") {
			return nil
		}
		value, after, ok := word(after[1:], " ")
		if !ok {
			return nil
		}
		if _, there := out[key]; !there {
			out[key] = value
		}
		if rest = strings.TrimPrefix(after, " "); rest == after && after != "" {
			return nil
		}
	}
	return out
}

// word is what a text begins with: a word in quotes, or all up to one of the bytes in ends.
func word(text, ends string) (word, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ends)
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], true
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false
	}
	word, err = strconv.Unquote(quoted)
	return word, text[len(quoted):], err == nil
}
