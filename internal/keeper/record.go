package keeper

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Record is one entry of the history: a round that changed something, learned another address, failed in a new way or
// succeeded again. Its JSON form is a promise: see docs/json.md. It holds nothing secret; the addresses are the user's.
type Record struct {
	At        time.Time        `json:"at"`
	By        string           `json:"by"`            // the command whose round it was: run is the daemon
	Why       string           `json:"why,omitempty"` // what made it look; "" when a person asked for it
	Outcome   string           `json:"outcome"`       // one of the Outcome constants
	Error     string           `json:"error,omitempty"`
	Hint      string           `json:"hint,omitempty"` // what the user can do about it
	Addresses []AddressNote    `json:"addresses,omitempty"`
	Changes   []RecordedChange `json:"changes,omitempty"`
	More      int              `json:"more,omitempty"`  // changes that are not listed
	Lost      []string         `json:"lost,omitempty"`  // own rules that somebody else has removed
	Until     *time.Time       `json:"until,omitempty"` // of a pause
	Calls     int              `json:"calls"`           // requests to AWS
	MS        Milestones       `json:"ms"`
}

// What a round has come to.
const (
	OutcomeChanged   = "changed"   // rules were changed
	OutcomeUnchanged = "unchanged" // another address, and the rules fitted already
	OutcomeUnknown   = "unknown"   // the address is not known any more: nothing is changed
	OutcomeFailed    = "failed"    // in another way than before
	OutcomeRecovered = "recovered" // it had failed before
	OutcomePaused    = "paused"
	OutcomeResumed   = "resumed"
)

// AddressNote is what has become of the own address of one family.
type AddressNote struct {
	Family string `json:"family"`
	From   string `json:"from"` // the one that was confirmed last; may be ""
	To     string `json:"to"`   // "" while it is not known
	State  string `json:"state"`
	Why    string `json:"why"`
}

// RecordedChange is one change of a rule.
type RecordedChange struct {
	Target string `json:"target"` // "" when no target leads to the group any more
	Group  string `json:"group"`
	Rule   string `json:"rule"`
	Do     string `json:"do"`
	CIDR   string `json:"cidr"`
	From   string `json:"from,omitempty"` // move: the address before
	Port   int    `json:"port"`
}

// Milestones are milliseconds from the event that made the round look, or from the command: each includes the ones
// before it. One that was not reached is 0.
type Milestones struct {
	Noticed int64 `json:"noticed"` // until the round began: waiting for quiet, for the lock, for another round
	Known   int64 `json:"known"`   // until the own address was known; 0 when an earlier look did
	Written int64 `json:"written"` // until the last change had its answer
	Total   int64 `json:"total"`
}

const (
	// maxRecorded bounds the changes of one record, and maxRecordText its texts in bytes: a line stays below 64 KB.
	maxRecorded   = 50
	maxRecordText = 400
)

// cutText keeps a text from the network short, at the end of a character.
func cutText(s string) string {
	if len(s) <= maxRecordText {
		return s
	}
	n := maxRecordText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// milestones are the instants of a round, monotonic.
type milestones struct{ since, began, known, written time.Time }

func (m milestones) upTo(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(0, t.Sub(m.since).Milliseconds())
}

// noteAddress keeps what is new about an address: old is what was remembered of it.
func (r *round) noteAddress(t Target, old FamilyMemory, v ipwatch.Verdict) {
	news := old.State != string(v.State) || v.State == ipwatch.Confirmed && old.Address != v.Addr
	if !news || old.State == "" && v.State == ipwatch.Absent || !r.about(t) {
		return
	}
	n := AddressNote{Family: v.Family.String(), State: string(v.State), Why: cutText(v.Why)}
	if old.Address.IsValid() {
		n.From = old.Address.String()
	}
	if v.State == ipwatch.Confirmed {
		n.To = v.Addr.String()
	}
	if !slices.ContainsFunc(r.notes, func(o AddressNote) bool {
		return o.Family == n.Family && o.From == n.From && o.To == n.To && o.State == n.State
	}) {
		r.notes = append(r.notes, n)
	}
}

// record is the round as an entry of the history, with before, the error that stood until it. ok is false for one
// that is not worth an entry.
func (r *round) record(before string, failed error) (rec Record, ok bool) {
	rec = Record{At: r.now.UTC(), By: cmp.Or(r.By, "emr-accessd"), Why: cutText(r.req.Why), Addresses: r.notes, Lost: r.lost, Calls: calls(r.clouds),
		MS: Milestones{Noticed: r.miles.upTo(r.miles.began), Known: r.miles.upTo(r.miles.known), Written: r.miles.upTo(r.miles.written), Total: r.miles.upTo(time.Now())}}
	for _, w := range r.work {
		target := ""
		if i := slices.IndexFunc(r.rep.Targets, func(t TargetReport) bool { return slices.Contains(w.users, t.key) }); i >= 0 {
			target = r.rep.Targets[i].Target
		}
		rec.add(target, w.rep)
	}
	settled := func(n AddressNote) bool {
		return n.State == string(ipwatch.Confirmed) || n.State == string(ipwatch.Absent)
	}
	switch {
	case failed != nil:
		rec.Outcome, rec.Error = OutcomeFailed, cutText(failed.Error())
		if r.Explain != nil {
			_, hint := r.Explain(failed)
			rec.Hint = cutText(hint)
		}
	case len(rec.Changes) > 0:
		rec.Outcome = OutcomeChanged
	case slices.ContainsFunc(r.notes, func(n AddressNote) bool { return !settled(n) }):
		rec.Outcome = OutcomeUnknown
	case before != "" && r.st.Status.LastError == "":
		rec.Outcome = OutcomeRecovered
	default:
		rec.Outcome = OutcomeUnchanged
	}
	same := failed != nil && failed.Error() == before
	return rec, len(rec.Changes) > 0 || len(r.notes) > 0 || failed != nil && !same || rec.Outcome == OutcomeRecovered
}

// add lists what was done in a group.
func (rec *Record) add(target string, g GroupReport) {
	for _, c := range g.Changes {
		switch {
		case c.Do == string(sgsync.Keep) || c.Do == string(sgsync.Borrow):
		case len(rec.Changes) >= maxRecorded:
			rec.More++
		default:
			rec.Changes = append(rec.Changes, RecordedChange{Target: target, Group: g.ID, Rule: c.Rule, Do: c.Do, CIDR: c.CIDR, From: c.From, Port: c.Port})
		}
	}
}

// enter puts what was tidied into the history. The caller holds the lock.
func (j *janitor) enter(rep Report) error {
	rec := Record{At: j.wall().UTC(), By: cmp.Or(j.By, "emr-accessd"), Outcome: OutcomeChanged, Calls: calls(j.clouds)}
	rec.MS.Written = time.Since(j.began).Milliseconds()
	rec.MS.Total = rec.MS.Written
	for _, t := range rep.Targets {
		for _, g := range t.Groups {
			rec.add("", g)
		}
	}
	if err := rep.Failed(); err != nil {
		rec.Outcome, rec.Error = OutcomeFailed, cutText(err.Error())
	}
	if len(rec.Changes) == 0 {
		return nil
	}
	return j.Store.Append(rec)
}

// calls are the requests to AWS that were made.
func calls(clouds map[cloudKey]*cloudOnce) (n int) {
	for _, c := range clouds {
		if counter, ok := c.cloud.(interface{ Calls() int }); ok {
			n += counter.Calls()
		}
	}
	return n
}

// enter puts the round into the history. One that cannot be written is told, and costs nothing else.
func (r *round) enter(before string, failed error) {
	rec, ok := r.record(before, failed)
	if !ok {
		return
	}
	r.news = &rec
	if err := r.Store.Append(rec); err != nil {
		r.warn("the history could not be written: %v", err)
	}
}

// missed notes a rule of ours that is in its group no more, although nothing of this installation has taken it away. The
// caller holds the lock.
func (r *round) missed(id string, view sgsync.View) {
	ours := slices.ContainsFunc(r.st.Journal, func(j sgsync.Write) bool {
		return j.ID == id && (j.Do == sgsync.Remove || j.Do == sgsync.Leave)
	})
	if ours || r.st.Rules[id].Leaving || r.req.DryRun || r.req.Release || slices.ContainsFunc(view.Rules, func(rule sgsync.Rule) bool { return rule.ID == id }) {
		return
	}
	r.lost = append(r.lost, id)
	past := slices.DeleteFunc(r.st.Lost[view.Group], func(t time.Time) bool { return r.now.Sub(t) > LostWindow || t.After(r.now) })
	r.st.Lost[view.Group] = append(past[max(0, len(past)-LostOften):], r.now)
}

// Rules that are removed by somebody else once may be a mistake, or an administrator's tidying; so often within this time
// they are a tool or a person that works against this program, which only its user can settle.
const (
	LostOften  = 3
	LostWindow = 24 * time.Hour
)
