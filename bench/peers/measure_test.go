//go:build unix

package main

import (
	"os"
	"strings"
	"testing"
)

// The test's binary stands in for the program itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == measuredVerb {
		os.Exit(measured(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// What is measured is the program, and not who has started it.
func TestMeasured(t *testing.T) {
	w, err := newWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	big := make([]byte, 200<<20) // of this process
	for i := 0; i < len(big); i += 4096 {
		big[i] = 1
	}
	s, err := w.exec(t.Context(), &job{name: "sleep", program: []string{"sleep", "0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Wall < 200 || s.CPU > s.Wall || s.Peak < 100 || s.Peak > 100<<10 || s.Calls != 0 || s.AWS+s.Echo != 0 {
		t.Errorf("%+v", s)
	}
	if big[0] != 1 {
		t.Error("the memory is gone")
	}
	_, err = w.exec(t.Context(), &job{name: "broken", program: []string{"sh", "-c", "echo why it broke >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "why it broke") {
		t.Errorf("%v", err)
	}
	if _, err := w.exec(t.Context(), &job{name: "none", program: []string{"/there/is/no/such/program"}}); err == nil {
		t.Error("a program that is not there was measured")
	}
}
