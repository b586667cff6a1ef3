package main

import (
	"encoding/json"
	"testing"
)

// doctor looks at the cluster in somebody else's simulation of AWS. Nothing dials its node: nothing listens on the host that
// is given in its place.
func (w *motoWorld) doctor(t *testing.T) {
	t.Helper()
	out, errs, code := w.program(t, "doctor", "--json", "--host", "127.0.0.1:1", w.cluster)
	var answer doctorAnswer
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != exitFindings {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	got := map[string]string{}
	for _, c := range answer.Checks {
		got[c.Check] = c.State
	}
	for check, want := range map[string]string{"credentials": stateOK, "identity": stateOK, "clock": stateOK, "cluster": stateOK, "node": stateOK, "groups": stateOK,
		"rule": stateBad, "who-else": stateOK, "network-acl": stateOK, "route-table": stateBad, "tcp": stateBad, "ssh": stateSkipped} {
		if got[check] != want {
			t.Errorf("%s is %q, want %q\n%s", check, got[check], want, out)
		}
	}
}
