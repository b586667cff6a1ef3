package keeper_test

import (
	"os"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// FuzzPaused feeds files of any form to the reading of the pause: when in doubt, nothing is done.
func FuzzPaused(f *testing.F) {
	f.Add([]byte(`{"since":"2026-11-22T10:00:00Z","until":"2026-11-22T11:00:00Z"}`))
	f.Add([]byte(`{"since":"2026-11-22T10:00:00Z"}`))
	f.Add([]byte("{"))
	f.Add([]byte{})
	now := time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := openStore(t)
		if err := os.WriteFile(s.Path("paused.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		switch p := s.Paused(now); {
		case p == nil: // over: only a time that could be read can be
			if s.Paused(time.Time{}.Add(time.Second)) == nil {
				t.Error("there was no pause at any time")
			}
		case p.Problem != "" && !p.Until.IsZero():
			t.Errorf("a pause that could not be read ends at %v", p.Until)
		}
		was, err := s.Resume(t.Context())
		if err != nil || !was || s.Paused(now) != nil {
			t.Errorf("resumed: %v %v", was, err)
		}
		if err := s.Pause(t.Context(), keeper.Pause{Since: now}); err != nil || s.Paused(now) == nil {
			t.Errorf("paused again: %v", err)
		}
	})
}
