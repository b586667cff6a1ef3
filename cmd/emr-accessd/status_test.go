package main

import (
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// After a revoke the status says what comes next, instead of nothing.
func TestStatusAfterRevoke(t *testing.T) {
	failed := "no usable AWS credentials"
	for name, tt := range map[string]struct {
		edit func(*statusAnswer)
		want string
	}{
		"a daemon runs":           {func(s *statusAnswer) { s.Running = true }, "no rule is kept now: all were given back; the next round puts those of the configuration back, unless you pause it (emr-accessd pause)"},
		"it is paused":            {func(s *statusAnswer) { s.Running, s.Paused = true, &keeper.Pause{Since: noon} }, "no rule is kept now: all were given back"},
		"none runs":               {func(*statusAnswer) {}, "no rule is kept now: all were given back; `emr-accessd sync` puts those of the configuration back"},
		"nothing is configured":   {func(s *statusAnswer) { s.empty, s.Running = true, true }, "no rule is kept now: all were given back"},
		"no round was ever made":  {func(s *statusAnswer) { s.LastRound = nil }, ""},
		"the last round failed":   {func(s *statusAnswer) { s.LastError = &failed }, ""},
		"there is a target again": {func(s *statusAnswer) { s.Targets = []keeper.TargetReport{{Target: "j-1"}} }, ""},
	} {
		s := statusAnswer{LastRound: at(0)}
		tt.edit(&s)
		var b strings.Builder
		renderStatus(&b, s, noon)
		if got := s.nothing(); got != tt.want || tt.want != "" && !strings.Contains(b.String(), "\n"+tt.want+"\n") {
			t.Errorf("%s: %q, want %q\n%s", name, got, tt.want, b.String())
		}
	}
}
