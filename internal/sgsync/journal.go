package sgsync

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Write is one own write that EC2 confirmed. EC2's reads may lag behind ("the result may not be
// immediately visible to subsequent API commands", AWS, EC2 eventual consistency), so for σ own writes are
// laid over what is read. The fields are those of the change; it is kept as JSON in the state file.
type Write struct {
	At          time.Time         `json:"at"` // wall clock, after the answer
	Do          Do                `json:"do"`
	Group       string            `json:"group"`
	ID          string            `json:"id"`
	Port        int               `json:"port,omitempty"`
	CIDR        netip.Prefix      `json:"cidr"`
	From        netip.Prefix      `json:"from"`
	Key         string            `json:"key,omitempty"`
	Value       string            `json:"value,omitempty"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// Maybe: the answer was lost, or the process died before it came. The write may have taken effect.
	Maybe bool `json:"maybe,omitempty"`
}

// Intent is the journal entry of a change that is about to be made: on disk before the call, it tells the
// next round what a killed process may have done.
func Intent(group string, c Change) Write {
	return Write{Do: c.Do, Group: group, ID: c.Rule, Port: c.Port, CIDR: c.CIDR, From: c.From, Key: c.Key, Value: c.Value,
		Description: c.Description, Tags: c.Tags, Maybe: true}
}

// Recent returns the writes that may still be invisible to a read sent at the wall time now.
func Recent(journal []Write, now time.Time) []Write {
	return slices.DeleteFunc(slices.Clone(journal), func(w Write) bool {
		age := now.Sub(w.At)
		return age >= Sigma || age < -Sigma // the second: the clock was set back
	})
}

// Overlay returns the view with the recent own writes laid over it. What others did shows as it was read.
func Overlay(v View, journal []Write) View {
	rules := slices.Clone(v.Rules)
	for _, w := range Recent(journal, v.Sent) {
		if w.Group != v.Group {
			continue
		}
		i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == w.ID })
		switch {
		case w.Maybe && i >= 0 && w.Key != "" && (w.Do == Move || w.Do == Remove || w.Do == Leave || w.Do == Join && ended(w.Key, rules[i].Tags, v.AWS)):
			// What the read shows of this rule may be from before our own write: do not rely on our lease
			// there, neither on its being there nor on its end. Planning then joins it (and learns that it is
			// gone), or leaves it to a later read.
			rules[i].Tags = maps.Clone(rules[i].Tags)
			delete(rules[i].Tags, w.Key)
		case w.Maybe: // adding, renewing: what is not seen is done again
		case w.Do == Remove && i >= 0:
			rules = slices.Delete(rules, i, i+1)
		case w.Do == Add && i < 0:
			rules = append(rules, Rule{ID: w.ID, Group: w.Group, Protocol: "tcp", FromPort: w.Port, ToPort: w.Port,
				CIDR: w.CIDR, Description: w.Description, Tags: maps.Clone(w.Tags)})
		case w.Do == Add: // its tags may show later than the rule
			tags := maps.Clone(rules[i].Tags)
			for key, value := range w.Tags {
				if _, there := tags[key]; !there {
					tags = withTag(tags, key, value)
				}
			}
			rules[i].Tags = tags
		case w.Do == Move && i >= 0 && rules[i].CIDR == w.From:
			rules[i].CIDR, rules[i].Description = w.CIDR, w.Description
		case (w.Do == Join || w.Do == Renew) && i >= 0:
			rules[i].Tags = withTag(rules[i].Tags, w.Key, w.Value)
		case w.Do == Leave && i >= 0 && !spared(w, rules[i].Tags[w.Key], journal), w.Do == Purge && i >= 0 && rules[i].Tags[w.Key] == w.Value:
			// What is read of a lease that was left may be from before its last renewal or join: it is another value.
			rules[i].Tags = maps.Clone(rules[i].Tags)
			delete(rules[i].Tags, w.Key)
		}
	}
	v.Rules = rules
	return v
}

// spared reports whether a lease is there still that was left: it may have got the value that is read by a call whose answer was
// lost, and what was left is the value from before that call.
func spared(left Write, value string, journal []Write) bool {
	return value != left.Value && slices.ContainsFunc(journal, func(w Write) bool {
		return w.Maybe && w.ID == left.ID && w.Key == left.Key && w.Value == value && (w.Do == Join || w.Do == Renew)
	})
}

// ended reports whether a lease that was joined is read as one that has ended.
func ended(key string, tags map[string]string, now time.Time) bool {
	value, there := tags[key]
	l, ok := ParseLease(key, value)
	return there && ok && !l.Live(now)
}

func withTag(tags map[string]string, key, value string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, tags)
	out[key] = value
	return out
}
