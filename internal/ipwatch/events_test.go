package ipwatch_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// patience is how long a test waits for what a system says at once.
const patience = 20 * time.Second

// tellHint writes a hint for a comparison: "!" is a loss.
func tellHint(h ipwatch.Hint) string {
	s := string(h.Kind) + ": " + h.Reason
	if h.Lost {
		s = "!" + s
	}
	return s
}

func tellHints(hints []ipwatch.Hint) []string {
	var all []string
	for _, h := range hints {
		all = append(all, tellHint(h))
	}
	return all
}

// recorded reads the messages of a file: one a line, as hex.
func recorded(t testing.TB, folder, name string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", folder, name))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if line := lines.Text(); line != "" && line[0] != '#' {
			b, err := hex.DecodeString(line)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, b)
		}
	}
	return all
}

// checkHints: whatever the bytes were, a hint is one of the system's kinds and safe to print.
func checkHints(t *testing.T, hints []ipwatch.Hint) {
	t.Helper()
	for _, h := range hints {
		switch h.Kind {
		case ipwatch.HintLink, ipwatch.HintAddress, ipwatch.HintRoute:
		case ipwatch.HintOverflow, ipwatch.HintWake:
			if !h.Lost {
				t.Errorf("%q: not lost", h.Reason)
			}
		default:
			t.Errorf("kind %q", h.Kind)
		}
		if h.Reason == "" || len(h.Reason) > 300 {
			t.Errorf("reason %q", h.Reason)
		}
		for _, r := range h.Reason {
			if !unicode.IsPrint(r) {
				t.Errorf("reason %q is not safe to print", h.Reason)
			}
		}
	}
}
