package main

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
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

// Each connection is a login of its own: what is known serves the next one, too.
func TestDialBeginsLogin(t *testing.T) {
	a := &app{streams: streams{Err: io.Discard}}
	a.secrets.given = map[string]bool{"key": true} // by the connection before
	p := &prepared{report: keeper.Report{Targets: []keeper.TargetReport{{}}}, verified: sshsession.Target{Addr: "192.0.2.1:22",
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not in a test") }}}
	if _, err := a.dial(t.Context(), p, connectFlags{}); err == nil {
		t.Fatal("it connected")
	}
	if a.secrets.given["key"] {
		t.Error("a person is asked again")
	}
}
