package awssim

import "slices"

// query is what the Describe operations have in common: ids, filters and a page.
type query struct {
	ids     []string
	filters []filter
	page    page
}

// readQuery reads a request's ids from the list with this name, its filters (known are the permitted names, besides
// tag:KEY and tag-key), and its page. Ids and MaxResults exclude each other (API_DescribeInstances).
func readQuery(f *form, idList string, known ...string) (query, error) {
	filters, err := readFilters(f)
	if err != nil {
		return query{}, err
	}
	if err := checkFilters(filters, append(known, "tag:", "tag-key")...); err != nil {
		return query{}, err
	}
	p, err := readPage(f, 5, 1000)
	if err != nil {
		return query{}, err
	}
	q := query{ids: f.strings(idList), filters: filters, page: p}
	if len(q.ids) > 0 && p.max > 0 {
		return query{}, errCombination("The parameter %s cannot be used with the parameter maxResults", idList)
	}
	return q, nil
}

// wants reports whether a resource is among those that are asked for.
func (q query) wants(id string, tags map[string]string, fields map[string][]string) bool {
	return (len(q.ids) == 0 || slices.Contains(q.ids, id)) && matches(q.filters, tags, fields)
}
