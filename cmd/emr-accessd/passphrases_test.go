package main

import (
	"context"
	"errors"
	"testing"
)

// A person is asked once, again after a wrong answer, and not for each connection; what the caller overwrites stays known.
func TestPassphrases(t *testing.T) {
	var p passphrases
	typed := []string{"wrong", "right", "other"}
	asked := 0
	person := func(context.Context, string) ([]byte, error) {
		if asked == len(typed) {
			return nil, errors.New("nobody is there")
		}
		asked++
		return []byte(typed[asked-1]), nil
	}
	want := func(file, secret string, times int) {
		t.Helper()
		got, err := p.ask(t.Context(), file, person)
		if string(got) != secret || asked != times || err != nil {
			t.Errorf("%s: %q, %v, asked %d times; want %q, %d", file, got, err, asked, secret, times)
		}
		clear(got)
	}
	p.begin()
	want("a", "wrong", 1)
	want("a", "right", 2)
	for range 3 {
		p.begin()
		want("a", "right", 2)
	}
	want("b", "other", 3)
	if _, err := p.ask(t.Context(), "a", person); err == nil { // the key was changed: the known one is wrong, and nobody is there
		t.Error("a wrong passphrase was given twice")
	}
}
