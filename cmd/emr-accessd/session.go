package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/gofrs/flock"
)

// renewSession is how often a running session renews its temporary target.
const renewSession = 20 * time.Minute

// session keeps a temporary target alive while connected. The returned func ends it: the rule is given back
// when no daemon runs and no other session to the same target is open.
func (a *app) session(ctx context.Context, k *keeper.Keeper, t keeper.Target, temporary bool) (end func(), err error) {
	// Who holds this lock has a session open: the daemon looks behind the NAT more often then.
	open := flock.New(k.Store.Path(keeper.SessionsLock), flock.SetPermissions(0o600))
	if _, err := open.TryRLockContext(ctx, 50*time.Millisecond); err != nil {
		return nil, fmt.Errorf("session lock: %w", err)
	}
	closed := func() { _ = open.Unlock() }
	if !temporary {
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
				next, ok := renewed(k, t, time.Now())
				if !ok {
					continue
				}
				t = next
				_, _ = quiet.Round(ctx, keeper.Request{Targets: []keeper.Target{t}})
			}
		}
	}()
	return func() {
		defer tidySessions(k, time.Now())
		closed()
		stop()
		<-done
		_ = lock.Unlock()
		last, err := lock.TryLock()
		if err != nil || !last || k.Store.Running() {
			return
		}
		defer func() { _ = lock.Unlock() }()
		if until := handedOver(k, t); time.Now().Before(until) {
			return // another program still uses it; the lease ends by itself
		}
		// Those of other sessions to other nodes of the same cluster, which could not be the last, too.
		st, _ := k.Store.Load()
		left := slices.DeleteFunc(slices.Clone(st.Temporary), func(o keeper.Target) bool {
			return sessionPath(k, o) != sessionPath(k, t) || o.Until.After(t.Until)
		})
		if len(left) > 0 {
			a.giveBack(k, left)
		}
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

func inPlace(lock *flock.Flock) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(held, there)
}

// tidySessions removes the files about targets that no session uses any more: each cluster would leave some for ever.
func tidySessions(k *keeper.Keeper, now time.Time) {
	files, _ := filepath.Glob(k.Store.Path("session-*.*"))
	for _, f := range files {
		path := strings.TrimSuffix(f, filepath.Ext(f))
		lock := flock.New(path+".lock", flock.SetPermissions(0o600))
		if alone, err := lock.TryLock(); err != nil || !alone {
			continue
		}
		if inPlace(lock) && !now.Before(handedOverAt(path)) {
			_ = os.Remove(path + ".until")
			_ = os.Remove(path + ".lock") // Windows keeps it, as it is open; it is empty
		}
		_ = lock.Unlock()
	}
}

// renewed is the target of a session with a new end. It is false when somebody has revoked it: one that is gone before its
// time. (It may also have run out, while the computer slept.)
func renewed(k *keeper.Keeper, t keeper.Target, now time.Time) (keeper.Target, bool) {
	if _, ok := standing(k, t); !ok && now.Before(t.Until) {
		return t, false
	}
	t.Until = now.Add(afterSession).Round(0)
	return t, true
}

// standing is the target of a session with the end that its renewals have given it: one that ended later would not be given
// back with the session. It is false when somebody has revoked it.
func standing(k *keeper.Keeper, t keeper.Target) (keeper.Target, bool) {
	if t.Until.IsZero() {
		return t, true
	}
	st, _ := k.Store.Load()
	i := slices.IndexFunc(st.Temporary, func(o keeper.Target) bool {
		return sessionPath(k, o) == sessionPath(k, t) && slices.Equal(o.Nodes, t.Nodes) && o.Port == t.Port
	})
	if i < 0 {
		return t, false
	}
	t.Until = st.Temporary[i].Until
	return t, true
}

// sessionPath is where the files about sessions to a temporary target begin.
func sessionPath(k *keeper.Keeper, t keeper.Target) string {
	sum := sha256.Sum256([]byte(t.Label + "|" + t.Profile + "|" + t.Region))
	return k.Store.Path("session-" + hex.EncodeToString(sum[:8]))
}

// handOver notes that a session goes on in another program, which does not tell when it ends: until the temporary
// target's end no other session gives the rule back. To be called while the own session is open.
func handOver(k *keeper.Keeper, t keeper.Target) error {
	if t.Until.IsZero() || t.Until.Before(handedOver(k, t)) {
		return nil
	}
	if err := os.WriteFile(sessionPath(k, t)+".until", []byte(t.Until.UTC().Format(time.RFC3339Nano)), 0o600); err != nil {
		return fmt.Errorf("note the session: %w", err)
	}
	return nil
}

// handedOver is when the last session that was handed over is taken to have ended; the zero time for none. A file
// that cannot be read is none: the lease is an hour in any case.
func handedOver(k *keeper.Keeper, t keeper.Target) time.Time {
	return handedOverAt(sessionPath(k, t))
}

func handedOverAt(path string) time.Time {
	text, err := os.ReadFile(path + ".until")
	if err != nil {
		return time.Time{}
	}
	until, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}
	}
	return until
}

// forgetHandedOver takes back what handOver noted of these targets, or of all: the user has given up their rules.
func forgetHandedOver(k *keeper.Keeper, targets []keeper.Target) {
	files, _ := filepath.Glob(k.Store.Path("session-*.until"))
	if targets != nil {
		files = nil
		for _, t := range targets {
			files = append(files, sessionPath(k, t)+".until")
		}
	}
	for _, f := range files {
		_ = os.Remove(f) // one that stays keeps a rule for its last hour, no more
	}
}

// giveBackTime bounds the end of a session: nobody waits long for a prompt that does not come back.
const giveBackTime = 15 * time.Second

func (a *app) giveBack(k *keeper.Keeper, targets []keeper.Target) {
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	rep, err := k.Round(ctx, keeper.Request{Targets: targets, Release: true})
	a.status.clear()
	if err == nil {
		err = rep.Failed()
	}
	if err != nil {
		fmt.Fprintf(a.Err, "emr-accessd: warning: the rule could not be given back: %s; its lease ends by itself, or run: emr-accessd revoke\n", printable(err.Error()))
	}
}

// statePath is a file in the state folder.
func (a *app) statePath(name string) string {
	dir, _ := config.StateDir()
	return filepath.Join(dir, name)
}
