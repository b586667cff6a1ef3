package main

import (
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Were a dry run taken for the real call, a rule that somebody else holds too would go: it is not named in one.
func TestPolicyCheckNamesNoSharedRule(t *testing.T) {
	lease := sgsync.FormatLease(time.Now().Add(time.Hour), time.Now(), "x")
	mine, bobs := sgsync.Holder{UserID: "AIDAALICE", Installation: "a"}.Key(), sgsync.Holder{UserID: "AIDABOB", Installation: "b"}.Key()
	rule := func(id string, tags map[string]string) sgsync.Rule {
		tags[sgsync.OwnerTag] = "AIDAALICE"
		return sgsync.Rule{ID: id, Protocol: "tcp", FromPort: 22, ToPort: 22, CIDR: pfxOf("198.51.100.7/32"), Tags: tags}
	}
	shared, alone := rule("shared", map[string]string{mine: lease, bobs: lease}), rule("alone", map[string]string{mine: lease})
	c := checker{user: "AIDAALICE"}
	for _, rules := range [][]sgsync.Rule{{shared, alone}, {alone, shared}} {
		if own, key, _ := c.sample(sgsync.View{Rules: rules}); own.ID != "alone" || key != mine || !c.alone(own) {
			t.Errorf("%s, %s", own.ID, key)
		}
	}
	if own, _, _ := c.sample(sgsync.View{Rules: []sgsync.Rule{shared}}); own.ID != "shared" || c.alone(own) {
		t.Errorf("%+v", own)
	}
}
