package awssim

import (
	"maps"
	"time"
)

// view is what Describe shows of rules and their tags: the truth with each write delayed.
// EC2: "when you run an API command, the result may not be immediately visible to subsequent API commands"
// (EC2 API, "Eventual consistency").
type view struct {
	delay   time.Duration
	serial  int
	shown   map[string]rule
	version map[string]int // serial of the write that shown (or its absence) comes from
	pending []change
}

// change is a write that Describe does not show before a time.
type change struct {
	visible time.Time
	serial  int
	id      string
	rule    rule
	gone    bool
}

func newView() view {
	return view{shown: map[string]rule{}, version: map[string]int{}}
}

// SetLag sets how long DescribeSecurityGroupRules, DescribeSecurityGroups and DescribeTags do not show a write to a
// rule or its tags, for writes from now on. The writes themselves (duplicates, quotas, ids) act on the truth.
func (s *Sim) SetLag(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.delay = d
}

// put writes a rule, new or over the one with its id.
func (s *Sim) put(r rule) {
	s.rules[r.id] = r
	s.view.add(change{visible: s.opts.Now().Add(s.view.delay), id: r.id, rule: r})
}

// drop removes a rule; one that is not there is no error.
func (s *Sim) drop(id string) {
	if _, ok := s.rules[id]; !ok {
		return
	}
	delete(s.rules, id)
	s.view.add(change{visible: s.opts.Now().Add(s.view.delay), id: id, gone: true})
}

func (v *view) add(c change) {
	v.serial++
	c.serial = v.serial
	v.pending = append(v.pending, c)
}

// visible returns the rules that Describe shows at a time. A late write never overwrites a younger one.
func (v *view) visible(now time.Time) map[string]rule {
	rest := v.pending[:0]
	for _, c := range v.pending {
		switch {
		case c.visible.After(now):
			rest = append(rest, c)
		case c.serial < v.version[c.id]:
		default:
			v.version[c.id] = c.serial
			if c.gone {
				delete(v.shown, c.id)
			} else {
				v.shown[c.id] = c.rule
			}
		}
	}
	v.pending = rest
	return maps.Clone(v.shown)
}
