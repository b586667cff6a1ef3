package sshsession

import (
	"slices"
	"testing"
)

func TestSentVariables(t *testing.T) {
	target := Target{
		Env:     []string{"LANG=C.UTF-8", "LC_ALL=C", "PATH=/bin", "X_ONE=1", "X_TWO=2", "AWS_SECRET_ACCESS_KEY=s", "SET=mine", "=C:=odd", "LC_ALL=twice"},
		SendEnv: []string{"X_*", "SE?", "[A-Z]*", "*/"},
		SetEnv:  []string{"SET=theirs", "NOVALUE", "EMPTY="},
	}
	want := []string{"SET=theirs", "EMPTY=", "LANG=C.UTF-8", "LC_ALL=C", "X_ONE=1", "X_TWO=2"}
	if got := target.sent(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
