package awssim

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxDepth is deeper than any parameter of the operations here ("IpPermissions.1.IpRanges.1.CidrIp" is 5 deep).
const maxDepth = 8

// form is a request's parameters as a tree: "IpPermissions.1.FromPort" is the leaf FromPort of the first of the list
// IpPermissions. Reading a leaf marks it, so that what nobody read can be refused as EC2 does.
type form struct {
	value    string
	leaf     bool // the parameter itself is in the request, not only parameters below it
	read     bool
	children map[string]*form
}

// parseForm decodes a URL-encoded body.
func parseForm(body string) (*form, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, fail("MalformedQueryString", "The query string is malformed")
	}
	root := &form{}
	for key, vs := range values {
		if len(vs) != 1 {
			return nil, fail("InvalidParameterValue", "The parameter '%s' may only be specified once.", key)
		}
		if strings.Count(key, ".") >= maxDepth {
			return nil, errUnknownParameter(key)
		}
		f := root
		for part := range strings.SplitSeq(key, ".") {
			child := f.children[part]
			if child == nil {
				child = &form{}
				if f.children == nil {
					f.children = map[string]*form{}
				}
				f.children[part] = child
			}
			f = child
		}
		f.value, f.leaf = vs[0], true
	}
	return root, nil
}

func errUnknownParameter(key string) error {
	return fail("UnknownParameter", "The parameter %s is not recognized", key)
}

// get returns a parameter, "" if it is not there.
func (f *form) get(name string) string {
	v, _ := f.lookup(name)
	return v
}

// lookup returns a parameter and whether it is there.
func (f *form) lookup(name string) (string, bool) {
	c := f.children[name]
	if c == nil || !c.leaf {
		return "", false
	}
	c.read = true
	return c.value, true
}

// integer returns a parameter that is a number; nil if it is not there.
func (f *form) integer(name string) (*int, error) {
	v, ok := f.lookup(name)
	if !ok {
		return nil, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return nil, fail("InvalidParameterValue", "Invalid value '%s' for %s: it is not an integer", v, name)
	}
	return new(int(n)), nil
}

// boolean returns a parameter that is true or false; false if it is not there.
func (f *form) boolean(name string) (bool, error) {
	v, ok := f.lookup(name)
	if !ok {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, fail("InvalidParameterValue", "Invalid value '%s' for boolean parameter %s", v, name)
	}
	return b, nil
}

// list returns the elements of a list in the order of their numbers. Elements whose name is no number stay unread.
func (f *form) list(name string) []*form {
	c := f.children[name]
	if c == nil {
		return nil
	}
	type element struct {
		n int
		f *form
	}
	var elements []element
	for key, child := range c.children {
		if n, err := strconv.Atoi(key); err == nil && n > 0 && strconv.Itoa(n) == key {
			elements = append(elements, element{n, child})
		}
	}
	slices.SortFunc(elements, func(a, b element) int { return cmp.Compare(a.n, b.n) })
	out := make([]*form, len(elements))
	for i, e := range elements {
		out[i] = e.f
	}
	return out
}

// strings returns the elements of a list of plain values.
func (f *form) strings(name string) []string {
	var out []string
	for _, e := range f.list(name) {
		if e.leaf {
			e.read = true
			out = append(out, e.value)
		}
	}
	return out
}

// child returns a structure; an empty one if it is not there.
func (f *form) child(name string) *form {
	if c := f.children[name]; c != nil {
		return c
	}
	return &form{}
}

// unread returns the first parameter, in order of names, that nobody read; "" if there is none.
func (f *form) unread() string {
	for _, name := range slices.Sorted(maps.Keys(f.children)) {
		c := f.children[name]
		if c.leaf && !c.read {
			return name
		}
		if below := c.unread(); below != "" {
			return name + "." + below
		}
	}
	return ""
}

// flatten returns all parameters by their full names.
func (f *form) flatten() map[string]string {
	out := map[string]string{}
	f.flattenInto(out, "")
	return out
}

func (f *form) flattenInto(out map[string]string, prefix string) {
	for name, c := range f.children {
		if c.leaf {
			out[prefix+name] = c.value
		}
		c.flattenInto(out, prefix+name+".")
	}
}
