package daemonlog

import (
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Whatever is logged comes back, from the file and from the journal alike.
func TestParseLineReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		key := rapid.StringN(1, 20, -1).Filter(func(s string) bool { return s != "time" && s != "level" && s != "msg" })
		msg, fields := text.Draw(t, "msg"), rapid.MapOfN(key, text, 0, 4).Draw(t, "fields")
		level := rapid.SampledFrom([]slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, slog.LevelWarn + 1}).Draw(t, "level")
		var attrs []any
		for k, v := range fields {
			attrs = append(attrs, slog.String(k, v))
		}
		for _, journal := range []bool{false, true} {
			var b strings.Builder
			begin := time.Now().Add(-time.Millisecond)
			rec := slog.NewRecord(time.Now(), level, msg, 0)
			rec.Add(attrs...)
			if err := NewHandler(&b, slog.LevelDebug, journal).Handle(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			line := strings.TrimSuffix(b.String(), "\n")
			if strings.Contains(line, "\n") {
				t.Fatalf("%q is more than a line", line)
			}
			var got Record
			if journal {
				entry, err := json.Marshal(map[string]string{"MESSAGE": line[3:], "PRIORITY": line[1:2], "SYSLOG_IDENTIFIER": "emr-accessd", "__REALTIME_TIMESTAMP": "1795687460000123"})
				if err != nil {
					t.Fatal(err)
				}
				if got, err = ParseJournal(entry); err != nil {
					t.Fatal(err)
				}
				if !got.At.Equal(time.UnixMicro(1795687460000123)) {
					t.Errorf("at %v", got.At)
				}
			} else if got = ParseLine(line); got.At == nil || got.At.Before(begin) || got.At.After(time.Now()) {
				t.Fatalf("at %v of %q", got.At, line)
			}
			if got.Text != valid(msg) || !maps.Equal(got.Fields, allValid(fields)) || got.Level != levelName(level) || got.From != "emr-accessd" {
				t.Fatalf("%+v of %q", got, line)
			}
		}
	})
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func allValid(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[valid(k)] = valid(v)
	}
	return out
}

func TestParseLinesThatAreNoRecords(t *testing.T) {
	for line, level := range map[string]string{
		"": "", "goroutine 1 [running]:": "", "\tmain.go:12 +0x1d": "", "emr-accessd: error: no network": "error", "emr-accessd: hint: connect": "",
		"a=b": "", `msg="half`: "", `msg="x"y`: "", "msg=x  y": "", "=": "", "=x msg=y": "", `"a" msg=x`: "", "msg=x =": "",
	} {
		if r := ParseLine(line); r.Text != line || r.At != nil || len(r.Fields) > 0 || r.Level != level || r.From != "emr-accessd" {
			t.Errorf("%q: %+v", line, r)
		}
	}
}

func TestParseJournal(t *testing.T) {
	for entry, want := range map[string]string{
		`{"MESSAGE":"Started emr-accessd.service.","PRIORITY":"6","SYSLOG_IDENTIFIER":"systemd","__REALTIME_TIMESTAMP":"0","_PID":"1"}`:           `{"at":"1970-01-01T00:00:00Z","level":"info","from":"systemd","text":"Started emr-accessd.service.","fields":{}}`,
		`{"MESSAGE":"msg=fake x=y","SYSLOG_IDENTIFIER":"systemd"}`:                                                                                `{"at":null,"level":"","from":"systemd","text":"msg=fake x=y","fields":{}}`,
		`{"MESSAGE":[109,115,103,61,255],"PRIORITY":"4","SYSLOG_IDENTIFIER":"emr-accessd"}`:                                                       `{"at":null,"level":"warning","from":"emr-accessd","text":"` + "\uFFFD" + `","fields":{}}`,
		`{"MESSAGE":["msg=one","two"],"PRIORITY":["3","4"]}`:                                                                                      `{"at":null,"level":"error","from":"emr-accessd","text":"one","fields":{}}`,
		`{"MESSAGE":null,"PRIORITY":7,"__REALTIME_TIMESTAMP":"x"}`:                                                                                `{"at":null,"level":"","from":"emr-accessd","text":"","fields":{}}`,
		`{"MESSAGE":"emr-accessd: error: no network","PRIORITY":"3","SYSLOG_IDENTIFIER":"emr-accessd","__REALTIME_TIMESTAMP":"1795687460000000"}`: `{"at":"2026-11-26T10:04:20Z","level":"error","from":"emr-accessd","text":"emr-accessd: error: no network","fields":{}}`,
	} {
		r, err := ParseJournal([]byte(entry))
		got, _ := json.Marshal(r)
		if err != nil || string(got) != want {
			t.Errorf("%s\n gives %s, %v\n  want %s", entry, got, err, want)
		}
	}
	if _, err := ParseJournal([]byte("-- No entries --")); err == nil {
		t.Error("text is taken for an entry")
	}
}

// No line breaks the answer, whatever wrote it.
func FuzzParseRecords(f *testing.F) {
	for _, s := range []string{"time=2026-11-22T10:04:00Z level=INFO msg=started a=\"b\\nc\"", "msg=\"", `{"MESSAGE":[1,2,999],"PRIORITY":{}}`, "\xff=\xfe msg=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		records := []Record{ParseLine(s)}
		if r, err := ParseJournal([]byte(s)); err == nil {
			records = append(records, r)
		}
		for _, r := range records {
			text, err := json.Marshal(r)
			if err != nil || !utf8.Valid(text) || r.Fields == nil {
				t.Errorf("%q: %s, %v", s, text, err)
			}
		}
	})
}
