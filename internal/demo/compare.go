package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// find returns the rule with an id.
func find(rules []Rule, id string) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// leasePrefix begins the tag key of every lease (docs/rules.md); the person's user id follows.
const leasePrefix = "emr-accessd-lease-"

// holds reports whether a person has a lease on a rule.
func holds(r Rule, who *Laptop) bool {
	for key := range r.Tags {
		if strings.HasPrefix(key, leasePrefix+who.UserID+"-") {
			return true
		}
	}
	return false
}

// unchanged checks that every rule of before stands as it was: the same id with the same content.
func unchanged(before, now []Rule) error {
	for _, old := range before {
		r, ok := find(now, old.ID)
		switch {
		case !ok:
			return fmt.Errorf("rule %s (%s from %s) is gone, and it was nobody's to remove", old.ID, old.ports(), old.source())
		case !equal(old, r):
			return fmt.Errorf("rule %s was changed from %+v to %+v, and it was nobody's to change", old.ID, old, r)
		}
	}
	return nil
}

func equal(a, b Rule) bool {
	tags := maps.Equal(a.Tags, b.Tags)
	a.Tags, b.Tags = nil, nil
	return tags && fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

// list names rules in a sentence.
func list(rules []Rule) string {
	if len(rules) == 0 {
		return "none"
	}
	var texts []string
	for _, r := range rules {
		texts = append(texts, fmt.Sprintf("%s (%s from %s)", r.ID, r.ports(), r.source()))
	}
	return strings.Join(texts, ", ")
}
