package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/gofrs/flock"
)

// renewSession is how often a running session renews its temporary target.
const renewSession = 20 * time.Minute

// session keeps a temporary target alive while connected. The returned func ends it: the rule is given back
// when no daemon works, no other session to the same target is open, and nobody was promised more time.
func (a *app) session(ctx context.Context, k *keeper.Keeper, t keeper.Target) (end func(), err error) {
	// Who holds this lock has a session open: the daemon looks behind the NAT more often then.
	open := flock.New(k.Store.Path(keeper.SessionsLock), flock.SetPermissions(0o600))
	if _, err := open.TryRLockContext(ctx, 50*time.Millisecond); err != nil {
		return nil, fmt.Errorf("session lock: %w", err)
	}
	closed := func() { _ = open.Unlock() }
	if t.Until.IsZero() {
		return closed, nil
	}
	// Before the first round: a session that ends gives the rule back only when no other has begun.
	lock, err := lockSession(ctx, sessionPath(k, t)+".lock")
	if err != nil {
		closed()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		quiet := *k
		quiet.Progress, quiet.Log = nil, nil
		tick := time.NewTicker(renewSession)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, _ = quiet.Round(ctx, following(t))
			}
		}
	}()
	return func() {
		defer tidySessions(k)
		closed()
		stop()
		<-done
		_ = lock.Unlock()
		if !lastSession(lock) || k.Store.Running() && k.Store.Paused(time.Now()) == nil {
			return
		}
		defer func() { _ = lock.Unlock() }()
		st, _ := k.Store.Load()
		a.giveBack(k, toGiveBack(k, st, t))
	}, nil
}

// lockSession takes a shared lock. The file may be tidied away between its opening and the lock.
func lockSession(ctx context.Context, path string) (*flock.Flock, error) {
	for {
		lock := flock.New(path, flock.SetPermissions(0o600))
		if _, err := lock.TryRLockContext(ctx, 50*time.Millisecond); err != nil {
			return nil, fmt.Errorf("session lock: %w", err)
		}
		if inPlace(lock) {
			return lock, nil
		}
		_ = lock.Unlock()
	}
}

// lastSession takes a session's lock alone. false: another session to the cluster is open, which shares the lock. The end of one to
// another cluster may hold it alone for an instant, or tidy the file away, see [tidySessions].
func lastSession(lock *flock.Flock) bool {
	shared := 0
	for range 200 {
		last, err := lock.TryLock()
		if err != nil {
			return false
		}
		if last && inPlace(lock) {
			return true
		}
		if !last {
			if ok, _ := lock.TryRLock(); ok {
				shared++
			}
		}
		_ = lock.Unlock()
		if shared == 3 {
			return false
		}
		if !last {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return false
}

func inPlace(lock *flock.Flock) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(held, there)
}

// tidySessions removes the locks of targets that no session uses any more: each cluster would leave one for ever.
func tidySessions(k *keeper.Keeper) {
	files, _ := filepath.Glob(k.Store.Path("session-*.lock"))
	for _, f := range files {
		lock := flock.New(f, flock.SetPermissions(0o600))
		if alone, err := lock.TryLock(); err != nil || !alone {
			continue
		}
		if inPlace(lock) {
			_ = os.Remove(lock.Path()) // Windows keeps it, as it is open; it is empty
		}
		_ = lock.Unlock()
	}
}

// toGiveBack are the temporary targets that the last session to a cluster gives back at its end: its own, and those of sessions to
// other nodes, which could not be the last; also where their time was over, after a sleep. The round leaves out what somebody
// was promised.
func toGiveBack(k *keeper.Keeper, st *keeper.State, t keeper.Target) []keeper.Target {
	left := []keeper.Target{t}
	for _, o := range st.OfSessions() {
		if sessionPath(k, o) == sessionPath(k, t) && !o.Same(t) && !slices.ContainsFunc(k.Targets, o.Same) {
			left = append(left, o)
		}
	}
	return left
}

// following is what an open session asks for by itself: that the rule stands, and a temporary one for an hour from now.
func following(t keeper.Target) keeper.Request {
	return keeper.Request{Targets: []keeper.Target{renewed(t, time.Now())}, Session: true}
}

// renewed is the target of an open session with a new end.
func renewed(t keeper.Target, now time.Time) keeper.Target {
	if until := now.Add(afterSession).Round(0); !t.Until.IsZero() && until.After(t.Until) {
		t.Until = until
	}
	return t
}

// sessionPath is where the files about sessions to a temporary target begin.
func sessionPath(k *keeper.Keeper, t keeper.Target) string {
	sum := sha256.Sum256([]byte(t.Label + "|" + t.Profile + "|" + t.Region))
	return k.Store.Path("session-" + hex.EncodeToString(sum[:8]))
}

// giveBackTime bounds the end of a session: nobody waits long for a prompt that does not come back.
const giveBackTime = 15 * time.Second

func (a *app) giveBack(k *keeper.Keeper, targets []keeper.Target) {
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	last, status := *k, a.status
	if status == nil { // no terminal: a long wait is told all the same
		status = newLongProgress(a.Err)
	}
	last.Progress = status.say
	rep, err := last.Round(ctx, keeper.Request{Targets: targets, Release: true, Session: true})
	status.clear()
	if err == nil {
		err = rep.Failed()
	}
	if err != nil {
		fmt.Fprintf(a.Err, "emr-accessd: warning: the rule could not be given back: %s; its lease ends by itself, or run: emr-accessd revoke\n", printable(err.Error()))
	}
}

// statePath is a file in the state folder. Where no folder is known, it is none: never one of the present folder, which may be anybody's.
func (a *app) statePath(name string) string {
	dir, err := config.StateDir()
	if err != nil {
		dir = os.DevNull
	}
	return filepath.Join(dir, name)
}

// stateKnown says why no state folder is known.
func stateKnown() error {
	if _, err := config.StateDir(); err != nil {
		return hinted{fmt.Errorf("no place for the state folder: %w", err), exitFailed, "name one with " + config.EnvState}
	}
	return nil
}
