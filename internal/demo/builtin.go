package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// builtin runs a line, or a shell for "", where the system has no sh: a few commands that need nothing of the system,
// answered honestly from the session's own environment.
func (s *session) builtin(line string) exit {
	if line != "" {
		status, _ := s.builtinLine(line)
		return exit{status: status}
	}
	in := bufio.NewReader(s)
	var last uint32
	for {
		if s.term != nil {
			fmt.Fprint(s, "demo$ ")
		}
		line, err := s.readLine(in)
		if err != nil {
			return exit{status: last}
		}
		var over bool
		if last, over = s.builtinLine(line); over {
			return exit{status: last}
		}
	}
}

// builtinLine runs one command; over says that it ends the shell.
func (s *session) builtinLine(line string) (status uint32, over bool) {
	words := strings.Fields(os.Expand(line, s.variable))
	if len(words) == 0 {
		return 0, false
	}
	switch words[0] {
	case "echo":
		s.print(strings.Join(words[1:], " "))
	case "true":
	case "false":
		return 1, false
	case "whoami":
		s.print(nodeUser)
	case "hostname":
		name, err := os.Hostname()
		if err != nil {
			return 1, false
		}
		s.print(name)
	case "env":
		for _, kv := range s.env {
			s.print(kv)
		}
	case "exit":
		if len(words) > 1 {
			n, err := strconv.ParseUint(words[1], 10, 8)
			if err != nil {
				return 2, true
			}
			return uint32(n), true
		}
		return 0, true
	default:
		fmt.Fprintf(s.Stderr(), "demo: %q is not known here; there are echo, env, exit, false, hostname, true and whoami\n", words[0])
		return 127, false
	}
	return 0, false
}

// print writes a line as the terminal or the pipe wants it.
func (s *session) print(text string) {
	end := "\n"
	if s.term != nil {
		end = "\r\n"
	}
	fmt.Fprint(s, text+end)
}

// maxLine bounds what somebody types before a newline, in bytes.
const maxLine = 4096

// readLine reads a line. With a terminal the client sends raw keys, so they are shown and edited here.
func (s *session) readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		b, err := in.ReadByte()
		switch {
		case err == io.EOF && len(line) > 0:
			return string(line), nil
		case err != nil:
			return "", err
		case b == '\r' && s.term != nil, b == '\n':
			s.show("\r\n")
			return string(line), nil
		case s.term != nil && b == 3: // Ctrl-C
			s.show("^C\r\n")
			return "", nil
		case s.term != nil && b == 4 && len(line) == 0: // Ctrl-D
			return "", io.EOF
		case s.term != nil && (b == 8 || b == 127):
			if len(line) > 0 {
				line = line[:len(line)-1]
				s.show("\b \b")
			}
		case len(line) == maxLine:
			return "", errors.New("line too long")
		case b >= ' ' || b == '\t':
			line = append(line, b)
			s.show(string([]byte{b}))
		}
	}
}

// show echoes a key where there is a terminal.
func (s *session) show(text string) {
	if s.term != nil {
		fmt.Fprint(s, text)
	}
}
