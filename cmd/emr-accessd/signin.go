package main

import (
	"context"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// signInPoll is how often it is looked whether somebody has signed in, and only while a sign-in is missing: a few
// files and folders, no network. After signInPatience it is signInPollLater: most likely it is night.
const (
	signInPoll      = 3 * time.Second
	signInPatience  = 10 * time.Minute
	signInPollLater = 15 * time.Second
)

// signIn notices that somebody signs in to AWS. An expired session may last until the morning: the daemon then tries
// ever more seldom, and what has changed meanwhile is to be applied as soon as it can be. The zero value is ready.
type signIn struct {
	mu      sync.Mutex
	missing map[string]bool // by profile and region
	mark    string          // [awsclient.SignInMark] as it was when nobody had signed in
	wake    chan struct{}
	look    func() string // [awsclient.SignInMark]
}

// opening is called before an attempt to sign in; its answer goes to [signIn.opened].
func (s *signIn) opening() (mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wake == nil { // nobody listens
		return ""
	}
	return s.look()
}

// opened tells how an attempt to sign in for a profile and region has ended, and what opening answered before it.
func (s *signIn) opened(key, before string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wake == nil {
		return
	}
	// Trying may itself have written a token, and that is no sign-in. What had changed before the attempt is one, perhaps
	// for another profile, and is still to be told.
	if len(s.missing) == 0 || before == s.mark {
		s.mark = s.look()
	}
	kind, _ := awsclient.KindOf(err)
	switch {
	case err == nil:
		delete(s.missing, key)
	case kind == awsclient.Credentials:
		if s.missing == nil {
			s.missing = map[string]bool{}
		}
		s.missing[key] = true
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
	if s.look == nil {
		s.look = awsclient.SignInMark
	}
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
	for begin, later := time.Now(), false; ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if !later && now.Sub(begin) >= signInPatience {
				later = true
				tick.Reset(signInPollLater)
			}
			waiting, signedIn := s.changed()
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

// changed reports whether a sign-in is missing still, and whether the files have changed since it was last looked.
func (s *signIn) changed() (waiting, signedIn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.missing) == 0 {
		return false, false
	}
	mark := s.look()
	signedIn, s.mark = mark != s.mark, mark
	return true, signedIn
}
