package awssim

import (
	"maps"
	"slices"
)

// PrefixListSpec is a customer-managed prefix list to be seeded.
type PrefixListSpec struct {
	Name       string
	IPv6       bool              // a list has one address family
	MaxEntries int               // what the list weighs in a group's quota; 0 means the number of Entries
	Entries    map[string]string // description by CIDR
}

type prefixList struct {
	PrefixListSpec
	id      string
	version int
	tags    map[string]string
}

// AddPrefixList makes a customer-managed prefix list and returns its id (pl-…).
func (s *Sim) AddPrefixList(spec PrefixListSpec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &prefixList{PrefixListSpec: spec, id: s.newID("pl-"), version: 1}
	p.Entries = map[string]string{}
	for _, cidr := range slices.Sorted(maps.Keys(spec.Entries)) {
		canonical, err := parseCIDR(cidr, spec.IPv6)
		if err != nil {
			panic("awssim: AddPrefixList: " + err.Error())
		}
		p.Entries[canonical.String()] = spec.Entries[cidr]
	}
	p.MaxEntries = max(p.MaxEntries, len(p.Entries))
	s.prefixLists[p.id] = p
	return p.id
}
