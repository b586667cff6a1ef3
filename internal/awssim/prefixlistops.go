package awssim

import (
	"maps"
	"slices"
)

type prefixListXML struct {
	ID            string        `xml:"prefixListId"`
	AddressFamily string        `xml:"addressFamily"`
	State         string        `xml:"state"`
	ARN           string        `xml:"prefixListArn"`
	Name          string        `xml:"prefixListName"`
	MaxEntries    int           `xml:"maxEntries"`
	Version       int           `xml:"version"`
	Tags          items[tagXML] `xml:"tagSet"`
	OwnerID       string        `xml:"ownerId"`
}

type entryXML struct {
	CIDR        string `xml:"cidr"`
	Description string `xml:"description,omitempty"`
}

func (s *Sim) prefixListXML(p *prefixList, state string) prefixListXML {
	family := "IPv4"
	if p.IPv6 {
		family = "IPv6"
	}
	return prefixListXML{
		ID: p.id, AddressFamily: family, State: state, ARN: s.arn("ec2", "prefix-list/"+p.id), Name: p.Name,
		MaxEntries: p.MaxEntries, Version: p.version, Tags: tagsXML(p.tags), OwnerID: s.opts.Account,
	}
}

// describePrefixLists is DescribeManagedPrefixLists. Changes are complete at once here; on AWS they take a moment.
func (s *Sim) describePrefixLists(rq *request) (func() (any, error), error) {
	filters, err := readFilters(rq.form)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(filters, "owner-id", "prefix-list-id", "prefix-list-name", "tag:", "tag-key"); err != nil {
		return nil, err
	}
	p, err := readPage(rq.form, 1, 100)
	if err != nil {
		return nil, err
	}
	ids := rq.form.strings("PrefixListId")
	for _, id := range ids {
		if _, err := s.prefixListParameter(id); err != nil {
			return nil, err
		}
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken   string               `xml:"nextToken,omitempty"`
			PrefixLists items[prefixListXML] `xml:"prefixListSet"`
		}
		for _, l := range s.prefixLists {
			if (len(ids) == 0 || slices.Contains(ids, l.id)) && matches(filters, l.tags, map[string][]string{
				"owner-id": {s.opts.Account}, "prefix-list-id": {l.id}, "prefix-list-name": {l.Name},
			}) {
				out.PrefixLists.Item = append(out.PrefixLists.Item, s.prefixListXML(l, "create-complete"))
			}
		}
		out.PrefixLists.Item, out.NextToken = cut(p, out.PrefixLists.Item, func(x prefixListXML) string { return x.ID })
		return &out, nil
	}, nil
}

// prefixListEntries is GetManagedPrefixListEntries, for the current version only.
func (s *Sim) prefixListEntries(rq *request) (func() (any, error), error) {
	id, err := s.prefixListParameter(rq.form.get("PrefixListId"))
	if err != nil {
		return nil, err
	}
	p, err := readPage(rq.form, 1, 100)
	if err != nil {
		return nil, err
	}
	l := s.prefixLists[id]
	version, err := rq.form.integer("TargetVersion")
	if err != nil {
		return nil, err
	}
	if version != nil && *version != l.version {
		return nil, fail("InvalidParameterValue", "The prefix list '%s' has no version %d here", id, *version)
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken string          `xml:"nextToken,omitempty"`
			Entries   items[entryXML] `xml:"entrySet"`
		}
		for cidr, description := range l.Entries {
			out.Entries.Item = append(out.Entries.Item, entryXML{cidr, description})
		}
		if p.max == 0 {
			p.max = 100
		}
		out.Entries.Item, out.NextToken = cut(p, out.Entries.Item, func(e entryXML) string { return e.CIDR })
		return &out, nil
	}, nil
}

// modifyPrefixList is ModifyManagedPrefixList: entries with an optimistic lock on the version, or the size alone.
func (s *Sim) modifyPrefixList(rq *request) (func() (any, error), error) {
	f := rq.form
	id, err := s.prefixListParameter(f.get("PrefixListId"))
	if err != nil {
		return nil, err
	}
	l := s.prefixLists[id]
	current, err := f.integer("CurrentVersion")
	if err != nil {
		return nil, err
	}
	size, err := f.integer("MaxEntries")
	if err != nil {
		return nil, err
	}
	name := f.get("PrefixListName")
	entries, changes, err := changedEntries(f, l)
	switch {
	case err != nil:
		return nil, err
	case changes > 0 && size != nil:
		return nil, errCombination("You cannot modify the entries of a prefix list and modify the size of a prefix list at the same time")
	case changes > 0 && current == nil:
		return nil, errMissing("CurrentVersion")
	case size != nil && *size < len(l.Entries):
		return nil, fail("InvalidParameterValue", "maxEntries is smaller than the number of entries")
	}
	return func() (any, error) {
		if current != nil && *current != l.version {
			return nil, fail("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
		}
		if len(entries) > l.MaxEntries {
			return nil, fail("PrefixListMaxEntriesExceeded", "You've reached the maximum number of entries for the prefix list.")
		}
		if changes > 0 {
			l.Entries = entries
			l.version++
		}
		if size != nil {
			l.MaxEntries = *size
		}
		if name != "" {
			l.Name = name
		}
		var out struct {
			head
			PrefixList prefixListXML `xml:"prefixList"`
		}
		out.PrefixList = s.prefixListXML(l, "modify-complete")
		return &out, nil
	}, nil
}

// changedEntries returns a list's entries after a request's changes, and how many changes there are.
func changedEntries(f *form, l *prefixList) (map[string]string, int, error) {
	entries := maps.Clone(l.Entries)
	removals, additions := f.list("RemoveEntry"), f.list("AddEntry")
	if len(removals) > 100 || len(additions) > 100 {
		return nil, 0, fail("InvalidParameterValue", "A request can change 100 entries at most")
	}
	for _, e := range removals {
		cidr, err := parseCIDR(e.get("Cidr"), l.IPv6)
		if err != nil {
			return nil, 0, err
		}
		delete(entries, cidr.String())
	}
	for _, e := range additions {
		cidr, err := parseCIDR(e.get("Cidr"), l.IPv6)
		if err != nil {
			return nil, 0, err
		}
		description := e.get("Description")
		if err := checkDescription(description); err != nil {
			return nil, 0, err
		}
		entries[cidr.String()] = description
	}
	return entries, len(removals) + len(additions), nil
}
