package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// Pause stops the rounds of the daemon on a person's word. What a person asks for (sync, connect, revoke) goes on.
type Pause struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero: until it is resumed
	// Problem is why the file of the pause could not be read. Then the pause has no end: when in doubt, nothing is done.
	Problem string `json:"problem,omitempty"`
}

// pauseFile is a file of its own: the state is a cache that may be lost, and what a person said is not.
const pauseFile = "paused.json"

// PausePoll is how often a daemon that is paused looks whether it still is. Each look reads one small file.
const PausePoll = time.Minute

// Pause begins a pause, or changes the one that is. It waits for the round that may be under way: after it, none is.
func (s *Store) Pause(ctx context.Context, p Pause) error {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	p.Since, p.Until, p.Problem = p.Since.UTC(), p.Until.UTC(), ""
	data, err := json.Marshal(p)
	if err == nil {
		err = s.replace(pauseFile, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	// What changes in the meantime goes unnoticed, so a round is due at the end.
	st, _ := s.Load()
	st.Status.NextRound = time.Time{}
	_ = s.Append(pauseRecord(p.Since, OutcomePaused, p.Until)) // a pause counts without its entry too
	return s.Save(st)
}

// Resume ends the pause, and reports whether there was one. The next round is the caller's to make: the daemon may
// not look for a minute.
func (s *Store) Resume(ctx context.Context) (was bool, err error) {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	err = os.Remove(s.Path(pauseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	_ = s.Append(pauseRecord(time.Now(), OutcomeResumed, time.Time{}))
	return true, nil
}

func pauseRecord(at time.Time, outcome string, until time.Time) Record {
	rec := Record{At: at.UTC().Round(0), By: "resume", Outcome: outcome}
	if outcome == OutcomePaused {
		rec.By = "pause"
	}
	if !until.IsZero() {
		rec.Until = &until
	}
	return rec
}

// Paused returns the pause at the wall time now, or nil.
func (s *Store) Paused(now time.Time) *Pause {
	data, err := readFile(s.Path(pauseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var p Pause
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return &Pause{Problem: fmt.Sprintf("%s could not be read, which counts as a pause without an end: %v", s.Path(pauseFile), err)}
	}
	if p.Problem = ""; !p.Until.IsZero() && !p.Until.After(now) {
		return nil
	}
	return &p
}

// left is how long to wait before looking again.
func (p *Pause) left(now time.Time) time.Duration {
	if p.Until.IsZero() {
		return PausePoll
	}
	return min(p.Until.Sub(now), PausePoll)
}

// unattended marks a round as one that nobody asked for, and says when rounds stop and go on.
func (l *loop) unattended(req Request) Request {
	p := l.Store.Paused(l.wall())
	if p != nil {
		l.look, req.recall = nil, nil
	}
	if paused := p != nil; paused != l.paused {
		l.paused = paused
		switch {
		case !paused:
			l.log().Info("resumed")
		case p.Until.IsZero():
			l.log().Info("paused until somebody resumes", slog.String("problem", p.Problem))
		default:
			l.log().Info("paused", slog.Time("until", p.Until))
		}
	}
	req.unattended = true
	return req
}

// idle is the report of a round that a pause has kept from being made.
func (s *State) idle() Report {
	rep := s.Status.Report
	rep.Applied = false
	return rep
}
