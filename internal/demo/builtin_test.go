package demo_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/demo"
)

// channel is a channel in memory; only reading and writing are used.
type channel struct {
	ssh.Channel
	in       io.Reader
	out, err bytes.Buffer
}

func (c *channel) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *channel) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *channel) Stderr() io.ReadWriter       { return &c.err }

// The commands for systems without a shell.
func TestBuiltin(t *testing.T) {
	env := []string{"SSH_CONNECTION=old", "SSH_CONNECTION=127.0.0.2 50000 127.0.0.1 2222"}
	tests := []struct {
		name, line, in string
		terminal       bool
		out, err       string
		status         uint32
	}{
		{"the connection", "echo hello from $SSH_CONNECTION", "", false, "hello from 127.0.0.2 50000 127.0.0.1 2222\n", "", 0},
		{"unknown variable", "echo [$HOME]", "", false, "[]\n", "", 0},
		{"blank", "  ", "", false, "", "", 0},
		{"true", "true", "", false, "", "", 0},
		{"false", "false", "", false, "", "", 1},
		{"who", "whoami", "", false, "hadoop\n", "", 0},
		{"exit", "exit 7", "", false, "", "", 7},
		{"exit with nonsense", "exit seven", "", false, "", "", 2},
		{"unknown", "rm -rf /", "", false, "", "demo: \"rm\" is not known here", 127},
		{"shell", "", "echo a\nfalse\necho b\n", false, "a\nb\n", "", 0},
		{"shell's status", "", "echo a\nfalse\n", false, "a\n", "", 1},
		{"shell without a last newline", "", "echo a", false, "a\n", "", 0},
		{"shell, exit", "", "exit 3\necho b\n", false, "", "", 3},
		{"terminal", "", "echp\x7fo a\r\x04", true, "demo$ echp\b \bo a\r\na\r\ndemo$ ", "", 0},
		{"terminal, Ctrl-C", "", "echo a\x03exit 4\r", true, "demo$ echo a^C\r\ndemo$ exit 4\r\n", "", 4},
		{"terminal, controls", "", "\x1b\x01echo a\r\x04", true, "demo$ echo a\r\na\r\ndemo$ ", "", 0},
		{"endless line", "", strings.Repeat("x", 1<<20), false, "", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &channel{in: strings.NewReader(tt.in)}
			status := demo.BuiltinShell(c, env, tt.line, tt.terminal)
			if status != tt.status || c.out.String() != tt.out || !strings.HasPrefix(c.err.String(), tt.err) || (tt.err == "") != (c.err.Len() == 0) {
				t.Errorf("status %d, output %q and %q, want %d, %q and %q", status, c.out.String(), c.err.String(), tt.status, tt.out, tt.err)
			}
		})
	}
}
