package awssim

import (
	"slices"
	"strings"
)

// filter is one of EC2's filters: the values are alternatives, several filters must all match.
type filter struct {
	name   string
	values []string // with the wildcards * and ?
}

// readFilters reads the parameter Filter.
func readFilters(f *form) ([]filter, error) {
	var out []filter
	total := 0
	for _, e := range f.list("Filter") {
		fl := filter{name: e.get("Name"), values: e.strings("Value")}
		if fl.name == "" {
			return nil, fail("InvalidParameterValue", "The filter '' is invalid")
		}
		if len(fl.values) == 0 {
			return nil, fail("InvalidParameterValue", "The filter '%s' has no values", fl.name)
		}
		if total += len(fl.values); total > 200 {
			return nil, fail("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
		}
		out = append(out, fl)
	}
	return out, nil
}

// checkFilters refuses filters that the operation does not know, even where there is nothing to filter.
func checkFilters(filters []filter, known ...string) error {
	for _, f := range filters {
		if slices.Contains(known, f.name) || strings.HasPrefix(f.name, "tag:") && slices.Contains(known, "tag:") {
			continue
		}
		return fail("InvalidParameterValue", "The filter '%s' is invalid", f.name)
	}
	return nil
}

// matches reports whether a resource passes all filters. fields are its values by filter name; tags serve tag:KEY and tag-key.
func matches(filters []filter, tags map[string]string, fields map[string][]string) bool {
	for _, f := range filters {
		values := fields[f.name]
		if key, ok := strings.CutPrefix(f.name, "tag:"); ok {
			values = nil
			if v, ok := tags[key]; ok {
				values = []string{v}
			}
		} else if f.name == "tag-key" {
			for k := range tags {
				values = append(values, k)
			}
		}
		if !slices.ContainsFunc(f.values, func(pattern string) bool {
			return slices.ContainsFunc(values, func(v string) bool { return wildcard(pattern, v) })
		}) {
			return false
		}
	}
	return true
}

// wildcard matches EC2's filter patterns: * any characters, ? one character, \ takes the next one literally.
// It runs in time proportional to the product of the lengths, whatever the pattern.
func wildcard(pattern, s string) bool {
	p, text := []rune(pattern), []rune(s)
	pi, ti := 0, 0
	star, mark := -1, 0
	for ti < len(text) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, mark = pi, ti
			pi++
		case pi < len(p) && p[pi] == '?':
			pi++
			ti++
		case pi+1 < len(p) && p[pi] == '\\' && p[pi+1] == text[ti]:
			pi += 2
			ti++
		case pi < len(p) && (p[pi] != '\\' || pi+1 == len(p)) && p[pi] == text[ti]:
			pi++
			ti++
		case star >= 0:
			mark++
			pi, ti = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}
