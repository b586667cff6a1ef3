package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// The examples of docs/json.md name exactly the fields that audit and close-public have.
func TestAuditDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text := ""
	full := auditAnswer{At: now, Targets: []auditTarget{{Error: &text, AuditResult: sgsync.AuditResult{Nodes: []sgsync.AuditNode{{}}, Reach: []sgsync.Reach{{}},
		Findings: []sgsync.Finding{{}}, Quota: []sgsync.Gauge{{}}, Block: &sgsync.PublicBlock{}, From: &sgsync.Admission{}}}}}
	for heading, answer := range map[string]any{
		"## audit\n": full,
		"## close-public\n": closeAnswer{Close: []closeRule{{}}, Left: []leftRule{{}}, Own: []ownRule{{}}, SharedWith: []string{}, Warnings: []string{},
			Proof: &closedProof{}},
		"`close-public --restore` answers `": restoreAnswer{},
	} {
		_, rest, ok := strings.Cut(string(doc), heading)
		if !ok {
			t.Fatalf("docs/json.md has no %q", heading)
		}
		rest = strings.TrimPrefix(rest, "```json\n")
		end := min(strings.Index(rest+"`", "`"), strings.Index(rest+"```", "```"))
		var documented, real any
		if err := json.Unmarshal([]byte(rest[:end]), &documented); err != nil {
			t.Fatalf("%s%v in %s", heading, err, rest[:end])
		}
		data, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &real); err != nil {
			t.Fatal(err)
		}
		for _, diff := range differentKeys("", documented, real) {
			t.Errorf("%s%s", heading, diff)
		}
	}
	for _, f := range []string{"public-port", "not-looked-at", "rule-abandoned", "group-not-on-node"} {
		if !strings.Contains(string(doc), "`"+f+"`") {
			t.Errorf("docs/json.md does not name the finding %s", f)
		}
	}
}

func differentKeys(path string, doc, real any) (out []string) {
	switch d := doc.(type) {
	case map[string]any:
		r, ok := real.(map[string]any)
		if !ok {
			return nil // null in an example says that it may be
		}
		for k := range d {
			if _, ok := r[k]; !ok {
				out = append(out, fmt.Sprintf("%s.%s is documented and does not exist", path, k))
			}
			out = append(out, differentKeys(path+"."+k, d[k], r[k])...)
		}
		for k := range r {
			if _, ok := d[k]; !ok {
				out = append(out, fmt.Sprintf("%s.%s is not documented", path, k))
			}
		}
	case []any:
		r, ok := real.([]any)
		if ok && len(d) > 0 && len(r) > 0 {
			out = differentKeys(path+"[]", d[0], r[0])
		}
	}
	return out
}
