//go:build !unix

package demo

import "context"

// command runs a line where there is no shell that the demo could rely on.
func (s *session) command(_ context.Context, line string) exit { return s.builtin(line) }
