package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Without a terminal a long wait is told in whole lines, each once, and a short one is not.
func TestProgressWithoutATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		p := newLongProgress(&log)
		p.say("signing in to AWS")
		time.Sleep(plainPatience / 2)
		p.say("waiting until EC2 shows\x1b[2J for certain who holds the rules")
		time.Sleep(10 * plainPatience)
		p.say("changing the rules of sg-1")
		time.Sleep(2 * plainPatience)
		p.clear()
		p.say("signing in to AWS")
		time.Sleep(plainPatience / 2)
		p.clear()
		time.Sleep(10 * plainPatience)
		want := "emr-accessd: waiting until EC2 shows·[2J for certain who holds the rules\nemr-accessd: changing the rules of sg-1\n"
		if got := log.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if newProgress(&log) != nil {
			t.Error("other commands say nothing")
		}
	})
}
