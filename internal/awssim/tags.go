package awssim

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxTags is how many tags a resource can have, aws: tags not counted (EC2 user guide, "Tag restrictions").
const maxTags = 50

// readTagSpecification reads the tags for the resource that a request makes. It needs the permission ec2:CreateTags.
func readTagSpecification(rq *request, resourceType string) (map[string]string, error) {
	specs := rq.form.list("TagSpecification")
	if len(specs) == 0 {
		return nil, nil
	}
	tags := map[string]string{}
	for _, spec := range specs {
		if got := spec.get("ResourceType"); got != resourceType {
			return nil, fail("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", got)
		}
		more, err := readTags(spec)
		if err != nil {
			return nil, err
		}
		maps.Copy(tags, more)
	}
	if len(tags) > maxTags {
		return nil, errTagLimit()
	}
	if rq.principal.TagOnCreate || len(tags) == 0 {
		return tags, nil
	}
	return tags, authorize(rq, "ec2:CreateTags")
}

func errTagLimit() error {
	return fail("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
}

// readTags reads the list Tag of a request that sets tags.
func readTags(f *form) (map[string]string, error) {
	tags := map[string]string{}
	for _, e := range f.list("Tag") {
		key, value := e.get("Key"), e.get("Value")
		if err := checkTag(key, value); err != nil {
			return nil, err
		}
		if _, twice := tags[key]; twice {
			return nil, fail("InvalidParameterValue", "Duplicate tag key '%s' specified.", key)
		}
		tags[key] = value
	}
	return tags, nil
}

// checkTag refuses what cannot be a tag (API_Tag: key up to 127 characters, not beginning with aws:, value up to 256).
func checkTag(key, value string) error {
	switch {
	case key == "":
		return fail("InvalidParameterValue", "Tag key cannot be null or empty")
	case utf8.RuneCountInString(key) > 127:
		return fail("InvalidParameterValue", "Tag key exceeds the maximum length of 127 characters")
	case utf8.RuneCountInString(value) > 256:
		return fail("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return fail("InvalidParameterValue", "Value ( %s ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use", key)
	}
	return nil
}

// tagged is a resource whose tags can be changed: a rule or a group.
type tagged struct {
	id   string
	tags map[string]string
	set  func(map[string]string)
}

// taggedResources returns the resources that a request names by ResourceId.
func (s *Sim) taggedResources(f *form) ([]tagged, error) {
	ids := f.strings("ResourceId")
	if len(ids) == 0 {
		return nil, errMissing("resourceIdSet")
	}
	var out []tagged
	for _, id := range ids {
		switch {
		case strings.HasPrefix(id, "sgr-"):
			if err := checkID(id, "sgr-", "InvalidSecurityGroupRuleId.Malformed"); err != nil {
				return nil, err
			}
			r, ok := s.rules[id]
			if !ok {
				return nil, errNoRule(id)
			}
			out = append(out, tagged{id, r.tags, func(tags map[string]string) {
				r.tags = tags
				s.put(r)
			}})
		case strings.HasPrefix(id, "sg-"):
			g, err := s.groupByID(id)
			if err != nil {
				return nil, err
			}
			out = append(out, tagged{id, g.tags, func(tags map[string]string) { g.tags = tags }})
		default:
			return nil, fail("InvalidID", "The ID '%s' is not valid", id)
		}
	}
	return out, nil
}

// createTags is CreateTags for rules and groups: on all resources of the call or on none.
func (s *Sim) createTags(rq *request) (func() (any, error), error) {
	resources, err := s.taggedResources(rq.form)
	if err != nil {
		return nil, err
	}
	tags, err := readTags(rq.form)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, errMissing("tagSet")
	}
	return func() (any, error) {
		merged := make([]map[string]string, len(resources))
		for i, r := range resources {
			merged[i] = map[string]string{}
			maps.Copy(merged[i], r.tags)
			maps.Copy(merged[i], tags)
			if len(merged[i]) > maxTags {
				return nil, errTagLimit()
			}
		}
		for i, r := range resources {
			r.set(merged[i])
		}
		return &returned{Return: true}, nil
	}, nil
}

// deleteTags is DeleteTags for rules and groups. API_DeleteTags: a key without a value deletes any tag with the key, a key with a
// value (also an empty one) only the tag that has it, no tags at all mean all. A tag that is not there is no error.
func (s *Sim) deleteTags(rq *request) (func() (any, error), error) {
	resources, err := s.taggedResources(rq.form)
	if err != nil {
		return nil, err
	}
	type deletion struct {
		key, value string
		any        bool
	}
	var deletions []deletion
	for _, e := range rq.form.list("Tag") {
		d := deletion{key: e.get("Key")}
		if d.key == "" {
			return nil, fail("InvalidParameterValue", "Tag key cannot be null or empty")
		}
		value, ok := e.lookup("Value")
		d.value, d.any = value, !ok
		deletions = append(deletions, d)
	}
	return func() (any, error) {
		for _, r := range resources {
			rest := maps.Clone(r.tags)
			maps.DeleteFunc(rest, func(key, value string) bool {
				return len(deletions) == 0 || slices.ContainsFunc(deletions, func(d deletion) bool {
					return d.key == key && (d.any || d.value == value)
				})
			})
			if !maps.Equal(rest, r.tags) {
				r.set(rest)
			}
		}
		return &returned{Return: true}, nil
	}, nil
}

type describedTagXML struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

// describeTags is DescribeTags over rules, groups and instances.
func (s *Sim) describeTags(rq *request) (func() (any, error), error) {
	filters, err := readFilters(rq.form)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(filters, "key", "resource-id", "resource-type", "value", "tag:", "tag-key"); err != nil {
		return nil, err
	}
	p, err := readPage(rq.form, 5, 1000)
	if err != nil {
		return nil, err
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken string                 `xml:"nextToken,omitempty"`
			Tags      items[describedTagXML] `xml:"tagSet"`
		}
		add := func(id, kind string, tags map[string]string) {
			for k, v := range tags {
				fields := map[string][]string{"key": {k}, "value": {v}, "resource-id": {id}, "resource-type": {kind}}
				if matches(filters, map[string]string{k: v}, fields) {
					out.Tags.Item = append(out.Tags.Item, describedTagXML{id, kind, k, v})
				}
			}
		}
		for _, r := range s.view.visible(rq.at) {
			add(r.id, "security-group-rule", r.tags)
		}
		for _, g := range s.groups {
			add(g.id, "security-group", g.tags)
		}
		for _, n := range s.nodes {
			add(n.InstanceID, "instance", s.instanceTags(n))
		}
		out.Tags.Item, out.NextToken = cut(p, out.Tags.Item, func(t describedTagXML) string {
			return t.ResourceID + " " + t.Key
		})
		return &out, nil
	}, nil
}
