package keeper

import (
	"context"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// look is what was found out of the own address at one time.
type look struct {
	v4, v6 ipwatch.Observation
	asked  time.Time // wall clock
	began  time.Time // monotonic
}

// questions is how many sources were asked.
func (o *look) questions() int { return len(o.v4.Answers) + len(o.v6.Answers) }

// recall is the last look, while it may stand for a new one in a round that only looks for drift. Events and
// the watch behind the NAT tell of changes; without them nothing may be recalled.
func (l *loop) recall() *look {
	if l.in.quiet() || l.look == nil {
		return nil
	}
	if st, _ := l.Store.Load(); st.Failures > 0 { // something is to be written still
		return nil
	}
	if age := l.wall().Sub(l.look.asked); age < 0 || age > EvidenceAge {
		return nil
	}
	return l.look
}

// looked notes what a round has found out, and when an address that is not known is looked at again.
func (l *loop) looked(rep Report, err error) {
	now := time.Now()
	fresh := rep.look != nil && rep.look != l.look
	if fresh {
		l.asked, l.told = rep.look.began, nil
		if rep.look.questions() > 0 {
			l.pace.Asked(now)
		}
		if l.Looked != nil {
			l.Looked(rep.look.v4, rep.look.v6)
		}
	}
	if err != nil {
		l.again = time.Time{} // the next round comes by itself
		l.look = nil          // and looks anew: a hint may have been answered by nothing
		return
	}
	four, six := rep.unknown()
	if four || six {
		l.look = nil
		l.again = now.Add(l.pace.Unknown(!four))
		return
	}
	l.pace.Known()
	l.again = time.Time{}
	if fresh {
		l.look = rep.look
	}
}

// anew reports whether a look that an event has made pointless may begin anew at once, and counts it. It is called
// in the middle of a round.
func (l *loop) anew() bool {
	now := time.Now()
	if !l.pace.Room(now) {
		return false
	}
	l.pace.Asked(now)
	return true
}

// unknown reports in which families an address that a target needs is not known.
func (r Report) unknown() (four, six bool) {
	for _, t := range r.Targets {
		four = four || unsettled(t.Verdicts[ipwatch.V4.String()])
		six = six || unsettled(t.Verdicts[ipwatch.V6.String()]) && !t.Place.Unclear6 // asking again tells nothing there
	}
	return four, six || r.late6
}

func unsettled(v Verdict) bool {
	return v.State != "" && v.State != string(ipwatch.Confirmed) && v.State != string(ipwatch.Absent)
}

// remember puts on disk how changes are noticed, for `status`.
func (l *loop) remember(ctx context.Context) {
	if l.Noticing == nil {
		return
	}
	n := l.Noticing()
	unlock, err := l.lock(ctx)
	if err != nil {
		return
	}
	defer unlock()
	st, _ := l.Store.Load()
	if slices.Equal(st.Status.Noticing, n) {
		return
	}
	st.Status.Noticing = n
	if err := l.Store.Save(st); err != nil {
		l.log().Warn("how changes are noticed could not be saved", "error", err)
	}
}
