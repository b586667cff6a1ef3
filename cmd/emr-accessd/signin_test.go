package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

// A sign-in for one profile is told although an attempt for another fails after it; what an attempt writes itself is
// no sign-in.
func TestSignInOfSeveralProfiles(t *testing.T) {
	files := "1" // stands for the files of tokens
	s := signIn{wake: make(chan struct{}, 1), look: func() string { return files }}
	missing := &awsclient.Error{Kind: awsclient.Credentials}
	attempt := func(key string, err error, writes string) {
		before := s.opening()
		if writes != "" {
			files = writes
		}
		s.opened(key, before, err)
	}
	told := func(step string, want bool) {
		t.Helper()
		if waiting, signedIn := s.changed(); !waiting || signedIn != want {
			t.Errorf("%s: waiting %v, signed in %v", step, waiting, signedIn)
		}
	}
	attempt("a", missing, "")
	attempt("b", missing, "")
	told("nothing has happened", false)
	files = "2" // somebody signs in for a
	attempt("b", missing, "")
	told("signed in, and another attempt failed after it", true)
	told("told once", false)
	attempt("b", missing, "3")
	told("the attempt wrote the files", false)
	attempt("a", nil, "4")
	told("a successful attempt wrote the files", false)
	files = "5"
	attempt("a", nil, "6")
	told("signed in before a successful attempt", true)
	attempt("b", nil, "")
	if waiting, _ := s.changed(); waiting {
		t.Error("nothing is missing any more")
	}
}

// Whoever has not signed in for long is asleep, and so should the computer be; a sign-in is told all the same.
func TestSignInOverNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		looks, files := 0, "1"
		s := signIn{look: func() string { looks++; return files }}
		hints, err := s.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s.opened("a", s.opening(), &awsclient.Error{Kind: awsclient.Credentials})
		for _, c := range []struct{ wait, told time.Duration }{{signInPatience - time.Minute, signInPoll}, {8 * time.Hour, signInPollLater}} {
			s.mu.Lock() // which look is called with
			looks = 0
			s.mu.Unlock()
			time.Sleep(c.wait)
			synctest.Wait()
			s.mu.Lock()
			if most := int(c.wait/c.told) + 20; looks > most || looks < most/2 {
				t.Errorf("%d looks in %s, want about %d", looks, c.wait, most)
			}
			files += "1"
			s.mu.Unlock()
			time.Sleep(c.told)
			synctest.Wait()
			select {
			case <-hints:
			default:
				t.Errorf("a sign-in is not told after %s", c.told)
			}
		}
		cancel()
		for range hints {
		}
	})
}
