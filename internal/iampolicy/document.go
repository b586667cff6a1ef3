package iampolicy

import "encoding/json"

// Document is an IAM policy (IAM User Guide, "IAM JSON policy elements").
type Document struct {
	Version   string
	Statement []Statement
}

// Statement allows actions on resources. Its Sid names what it is for.
type Statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition Condition `json:",omitempty"`
}

// Condition maps an operator to condition keys and their values.
type Condition map[string]map[string][]string

// MaxSize is how many characters a managed policy may have, white space not counted (IAM, "IAM and AWS STS quotas").
const MaxSize = 6144

// Size is the document's length as IAM counts it, in characters.
func (d Document) Size() int {
	text, err := json.Marshal(d)
	if err != nil { // strings, lists and maps of strings
		return 0
	}
	return len([]rune(string(text)))
}

// Actions lists the actions that the document allows, sorted.
func (d Document) Actions() []string {
	var out []string
	for _, s := range d.Statement {
		out = append(out, s.Action...)
	}
	return sorted(out)
}

func allow(sid string, actions, resources []string, condition Condition) Statement {
	return Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources, Condition: condition}
}
