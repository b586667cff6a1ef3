package main

import (
	"context"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// signInPoll is how often it is looked whether somebody has signed in, and only while a sign-in is missing: a few
// files and folders, no network.
const signInPoll = 3 * time.Second

// signIn notices that somebody signs in to AWS. An expired session may last until the morning: the daemon then tries
// ever more seldom, and what has changed meanwhile is to be applied as soon as it can be. The zero value is ready.
type signIn struct {
	mu      sync.Mutex
	missing map[string]bool // by profile and region
	mark    string          // [awsclient.SignInMark] when a sign-in was found missing
	wake    chan struct{}
}

// opened tells how an attempt to sign in for a profile and region has ended.
func (s *signIn) opened(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, _ := awsclient.KindOf(err)
	switch {
	case err == nil:
		delete(s.missing, key)
	case kind == awsclient.Credentials && s.wake != nil: // somebody listens
		if s.missing == nil {
			s.missing = map[string]bool{}
		}
		s.missing[key] = true
		// After the attempt: trying may itself have written a token, and that is no sign-in.
		s.mark = awsclient.SignInMark()
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Events implements ipwatch.EventSource.
func (s *signIn) Events(ctx context.Context) (<-chan ipwatch.Hint, error) {
	s.mu.Lock()
	s.wake = make(chan struct{}, 1)
	s.mu.Unlock()
	hints := make(chan ipwatch.Hint, 1)
	go func() {
		defer close(hints)
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			s.watch(ctx, hints)
		}
	}()
	return hints, nil
}

// watch looks until nothing is missing any more.
func (s *signIn) watch(ctx context.Context, hints chan<- ipwatch.Hint) {
	tick := time.NewTicker(signInPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			waiting, signedIn := s.look()
			if !waiting {
				return
			}
			if !signedIn {
				continue
			}
			select {
			case hints <- ipwatch.Hint{Kind: ipwatch.HintAsked, Reason: "somebody may have signed in to AWS", At: now}:
			default:
			}
		}
	}
}

// look reports whether a sign-in is missing still, and whether the files have changed since it was last looked.
func (s *signIn) look() (waiting, signedIn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.missing) == 0 {
		return false, false
	}
	mark := awsclient.SignInMark()
	signedIn, s.mark = mark != s.mark, mark
	return true, signedIn
}
