package main

import (
	"testing"
	"time"
)

// TestDue: nothing that is to come was "just now", or is "ago".
func TestDue(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{-time.Minute: "now", 0: "now", time.Second: "now", 9*time.Second + time.Millisecond: "in 9 s", 5 * time.Minute: "in 5 min"} {
		if got := due(noon.Add(d), noon); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
