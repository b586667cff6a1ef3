package keeper

import (
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Report is what a round found and did. Its JSON form is a promise: see docs/json.md.
type Report struct {
	Targets  []TargetReport `json:"targets"`
	Applied  bool           `json:"applied"`
	Warnings []string       `json:"warnings,omitempty"`
	Took     time.Duration  `json:"-"`

	look *look   // at the own address; nil if nobody was asked
	news *Record // what it has put into the history; nil: nothing
	// crowded: AWS had no room for a call of it.
	crowded bool
	// late6: IPv6 was known, and did not answer in time to tell whether it is still the same.
	late6 bool
}

// TargetReport is a round's result for one target.
type TargetReport struct {
	Target   string             `json:"target"`
	Cluster  string             `json:"cluster,omitempty"`
	Name     string             `json:"name,omitempty"`
	State    string             `json:"state,omitempty"`
	Profile  string             `json:"profile,omitempty"` // as configured
	Verdicts map[string]Verdict `json:"verdicts"`
	Groups   []GroupReport      `json:"groups"`
	Error    *string            `json:"error"`
	Kind     string             `json:"error_kind,omitempty"` // see [Keeper.Explain]
	Hint     string             `json:"hint,omitempty"`       // what the user can do about the error
	Warnings []string           `json:"warnings,omitempty"`
	Identity *Identity          `json:"identity,omitempty"`
	Reach    *Reach             `json:"reach,omitempty"` // nil: nothing was tried
	Err      error              `json:"-"`
	Place    Place              `json:"-"`

	key   string // Target.key
	local bool   // Target.Local
}

// Verdict is what is concluded about one family for one target.
type Verdict struct {
	State    string   `json:"state"`
	Address  string   `json:"address"`
	Why      string   `json:"why"`
	Remedy   string   `json:"remedy,omitempty"` // the line of configuration that settles it, if the user finds it right
	Warnings []string `json:"warnings,omitempty"`
}

// GroupReport is what a round planned or did in one security group.
type GroupReport struct {
	ID      string         `json:"id"`
	Region  string         `json:"region"`
	Changes []ChangeReport `json:"changes"`
	Public  []string       `json:"public"`
	Expired []string       `json:"expired,omitempty"`
	Rules   []RuleReport   `json:"rules"`
	// Clusters are those of all targets that use the group: a rule in it opens the port on every one of them.
	Clusters []string `json:"clusters,omitempty"`
	Error    *string  `json:"error,omitempty"`
	Err      error    `json:"-"`

	read bool // its rules were read
}

// ChangeReport is one change.
type ChangeReport struct {
	Do       string     `json:"do"`
	Rule     string     `json:"rule"`
	CIDR     string     `json:"cidr"`
	Port     int        `json:"port"`
	Firm     bool       `json:"firm"`
	FirmFrom *time.Time `json:"firm_from,omitempty"`
	From     string     `json:"from,omitempty"` // move: the address before
	Role     string     `json:"role,omitempty"`
	Call     string     `json:"call,omitempty"` // the exact call, in a dry run
	Why      string     `json:"why,omitempty"`
}

// RuleReport is a rule that holds a lease of mine, or any managed rule of the port.
type RuleReport struct {
	Rule   string        `json:"rule"`
	CIDR   string        `json:"cidr"`
	Port   int           `json:"port"`
	Owner  string        `json:"owner,omitempty"`
	Mine   bool          `json:"mine"`
	Leases []LeaseReport `json:"leases"`
}

// LeaseReport is one lease on a rule.
type LeaseReport struct {
	Who      string     `json:"who"`
	UserID   string     `json:"userid"`
	Mine     bool       `json:"mine"`
	Live     bool       `json:"live"`
	Firm     bool       `json:"firm"`
	End      *time.Time `json:"end"`
	FirmFrom *time.Time `json:"firm_from"`
	Problem  string     `json:"problem,omitempty"`
}

func reportVerdict(v ipwatch.Verdict) Verdict {
	r := Verdict{State: string(v.State), Why: v.Why, Remedy: v.Remedy, Warnings: v.Warnings}
	if v.Addr.IsValid() {
		r.Address = v.Addr.String()
	}
	return r
}

func reportChange(c sgsync.Change, dryCall string) ChangeReport {
	r := ChangeReport{Do: string(c.Do), Rule: c.Rule, CIDR: prefixText(c.CIDR), Port: c.Port, Firm: c.Firm, From: prefixText(c.From),
		Role: string(c.Role), Call: dryCall, Why: c.Why}
	if !c.FirmFrom.IsZero() {
		r.FirmFrom = jsonTime(c.FirmFrom)
	}
	return r
}

// jsonTime is t in UTC; nil when JSON cannot hold it (RFC 3339 has years of four digits). Times come from
// tags, which others write: one bad tag must not keep the state from being saved.
func jsonTime(t time.Time) *time.Time {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return nil
	}
	return &t
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// reportRules lists the managed rules of the wanted ports.
func reportRules(v sgsync.View, want sgsync.Want, me sgsync.Me, now time.Time) []RuleReport {
	out := []RuleReport{}
	for _, r := range v.Rules {
		wanted := false
		for _, p := range want.Ports {
			wanted = wanted || p.Port == r.FromPort
		}
		if !wanted || !r.Managed() {
			continue
		}
		rr := RuleReport{Rule: r.ID, CIDR: r.CIDR.String(), Port: r.FromPort, Owner: r.Tags[sgsync.OwnerTag], Leases: []LeaseReport{}}
		for _, l := range r.Leases() {
			lr := LeaseReport{Who: l.Who, UserID: l.UserID, Mine: l.Key == me.Key(), Live: l.Live(now), Problem: l.Strange(now)}
			if l.Err == nil {
				lr.End, lr.FirmFrom = jsonTime(l.End), jsonTime(l.FirmFrom)
				lr.Firm = lr.Live && !now.Before(l.FirmFrom)
			}
			rr.Mine = rr.Mine || lr.Mine
			rr.Leases = append(rr.Leases, lr)
		}
		out = append(out, rr)
	}
	return out
}

// Failed returns the first failure of the report, or nil.
func (r Report) Failed() error {
	for _, t := range r.Targets {
		if t.Err != nil {
			return t.Err
		}
		for _, g := range t.Groups {
			if g.Err != nil {
				return g.Err
			}
		}
	}
	return nil
}

// Pending reports whether something was planned and not yet done, or a lease is not firm.
func (r Report) Pending() bool {
	for _, t := range r.Targets {
		for _, g := range t.Groups {
			for _, c := range g.Changes {
				write := c.Do != string(sgsync.Keep) && c.Do != string(sgsync.Borrow)
				mine := c.Role != string(sgsync.Other) && c.Do != string(sgsync.Borrow) && c.Do != string(sgsync.Remove) && c.Do != string(sgsync.Leave)
				if write && !r.Applied || mine && !c.Firm {
					return true
				}
			}
		}
	}
	return false
}

// Changed reports whether the round wrote anything.
func (r Report) Changed() bool {
	for _, t := range r.Targets {
		for _, g := range t.Groups {
			for _, c := range g.Changes {
				if c.Do != string(sgsync.Keep) && c.Do != string(sgsync.Borrow) && r.Applied {
					return true
				}
			}
		}
	}
	return false
}
