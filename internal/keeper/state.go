package keeper

import (
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// stateVersion changes when an older program could misread the file.
const stateVersion = 1

// State is what one round leaves for the next. It is a cache: lose it, and the next round repairs
// everything from the tags.
type State struct {
	Version      int    `json:"version"`
	Installation string `json:"installation,omitempty"` // only when it is not the derived one

	Families  map[string]FamilyMemory `json:"families"`  // by family and Target.key
	Places    map[string]Remembered   `json:"places"`    // by Target.key
	Temporary []Target                `json:"temporary"` // targets of connect sessions
	Journal   []sgsync.Write          `json:"journal"`
	Bare      map[string]time.Time    `json:"bare"`  // by rule id, AWS's clock
	Rules     map[string]RuleMemory   `json:"rules"` // rules with a lease of ours, by id
	Swept     map[string]time.Time    `json:"swept"` // by profile and region: when rules were last looked for by tag
	Traces    []Trace                 `json:"traces,omitempty"`
	Failures  int                     `json:"failures"`          // rounds that failed in a row
	Crowded   int                     `json:"crowded,omitempty"` // of those, the last for which AWS had no room
	Lost      map[string][]time.Time  `json:"lost"`              // by group: when somebody else removed a rule of ours there

	// Settled is when reads show every call so far. A round before it is not the last look at what they did.
	Settled time.Time `json:"settled,omitzero"`

	// Log names this state, as long as lines follow it: see statelog.go. An older program, which reads the state without
	// them, finds it as it was before the first write of a round that was killed.
	Log string `json:"log,omitempty"`

	// Torn: what a round did that was killed could not be read, the state or lines of it. Kept until a round has seen to it: something
	// else may save the state first.
	Torn bool `json:"torn,omitempty"`
	// Killed: lines follow the state of a round that did not come to its end, so that it is without Rules. Kept like Torn.
	Killed bool `json:"killed,omitempty"`

	// Blind is until when reads may not show where a killed round, or one whose state was lost, has moved a rule. Where a rule is seen
	// until then is not learnt: the round's own move would count as somebody else's.
	Blind time.Time `json:"blind,omitzero"`

	Status Status `json:"status"`
}

// FamilyMemory is what is known of one family towards one target over time, by the wall clock.
type FamilyMemory struct {
	Address   netip.Addr `json:"address"`   // the last confirmed
	Confirmed time.Time  `json:"confirmed"` // when
	Absent    time.Time  `json:"absent"`    // since when the family is gone; zero = it is not
	State     string     `json:"state"`     // the last verdict

	Before    netip.Addr `json:"before"`  // the address before this one
	Changed   time.Time  `json:"changed"` // when it became this one
	Held      netip.Addr `json:"held"`    // an address that is held too, because it flips
	HeldUntil time.Time  `json:"held_until"`
}

// RuleMemory is where this state last put a rule of ours. A rule that was moved elsewhere in our name tells
// that another computer uses our installation id: a cloned disk.
type RuleMemory struct {
	Group string         `json:"group"`
	CIDRs []netip.Prefix `json:"cidrs"` // the latest first; a stale read may show an earlier one
	// Leaving: a call of ours that gives it up was about to be made. If it is gone, nobody else has removed it.
	Leaving bool `json:"leaving,omitempty"`
}

// Remembered is a target with the place it was last seen at.
type Remembered struct {
	Target Target    `json:"target"`
	Place  Place     `json:"place"`
	Seen   time.Time `json:"seen"`
	Whole  time.Time `json:"whole,omitzero"` // the last time that nothing of it was refused
	// Left are the groups that it has used before, and since when it does not, until all is given back there: a round may be cut
	// short, or fail.
	Left map[string]time.Time `json:"left,omitempty"`
}

// Status is what `status` shows.
type Status struct {
	Report    Report     `json:"report"`
	LastRound time.Time  `json:"last_round"`
	NextRound time.Time  `json:"next_round"`
	Identity  []Identity `json:"identity"`
	LastError string     `json:"last_error,omitempty"`
	Changed   time.Time  `json:"changed"` // the last round that wrote
	// Noticing has sentences about how the daemon notices changes, and what it lacks for that.
	Noticing []string `json:"noticing,omitempty"`
}

func newState() *State {
	return &State{Version: stateVersion, Families: map[string]FamilyMemory{}, Places: map[string]Remembered{},
		Bare: map[string]time.Time{}, Rules: map[string]RuleMemory{}, Swept: map[string]time.Time{}, Lost: map[string][]time.Time{}}
}

// fill makes the maps of a state that came from a file.
func (s *State) fill() {
	fresh := newState()
	if s.Families == nil {
		s.Families = fresh.Families
	}
	for _, rem := range s.Places { // an older program may have made the keys in another way
		rem.Place.Looks = max(rem.Place.Looks, 0)
		if rem.Whole.IsZero() { // of an older program, which kept nothing else
			rem.Whole = rem.Seen
		}
		fresh.Places[rem.Target.key()] = rem
	}
	s.Places = fresh.Places
	if s.Bare == nil {
		s.Bare = fresh.Bare
	}
	if s.Rules == nil {
		s.Rules = fresh.Rules
	}
	if s.Swept == nil {
		s.Swept = fresh.Swept
	}
	if s.Lost == nil {
		s.Lost = fresh.Lost
	}
	s.Failures = min(max(s.Failures, 0), len(backoff))
	s.Crowded = min(max(s.Crowded, 0), len(backoff))
}
