package demo

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// session is one SSH session: at most one command or shell, with or without a terminal (RFC 4254, section 6).
type session struct {
	ssh.Channel
	env     []string
	home    string
	term    *windowSize // nil without a terminal
	resized chan windowSize
	signals chan string // names without SIG
}

// windowSize is a terminal's size in characters.
type windowSize struct{ columns, rows uint32 }

// exit is how a command ended: by a status, or by a signal's name.
type exit struct {
	status uint32
	signal string
}

// serve answers the session's requests until the channel is closed, and ends the command then.
func (s *session) serve(ctx context.Context, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	running := false
	for req := range requests {
		ok := true
		switch req.Type {
		case "exec", "shell":
			line, valid := "", true
			if req.Type == "exec" {
				line, valid = execLine(req.Payload)
			}
			if ok = valid && !running; !ok {
				break
			}
			running = true
			// Answered before the command runs, so that its output comes after the answer.
			s.answer(req, true)
			wg.Go(func() { s.run(ctx, line) })
			continue
		case "subsystem":
			if ok = isFiles(req.Payload) && !running; !ok {
				break
			}
			running = true
			s.answer(req, true)
			wg.Go(s.files)
			continue
		default:
			ok = s.request(req, running)
		}
		s.answer(req, ok)
	}
}

func (s *session) answer(req *ssh.Request, ok bool) {
	if req.WantReply {
		_ = req.Reply(ok, nil) // fails when the connection is gone, which the loop notices
	}
}

func execLine(payload []byte) (string, bool) {
	var v struct{ Line string }
	err := ssh.Unmarshal(payload, &v)
	return v.Line, err == nil
}

// request handles what comes beside the command.
func (s *session) request(req *ssh.Request, running bool) bool {
	switch req.Type {
	case "env":
		var v struct{ Name, Value string }
		// As Amazon Linux's sshd: the locale, and nothing that changes what a command does.
		if ssh.Unmarshal(req.Payload, &v) != nil || running || v.Name != "LANG" && !strings.HasPrefix(v.Name, "LC_") ||
			strings.ContainsRune(v.Name+v.Value, 0) {
			return false
		}
		s.env = append(s.env, v.Name+"="+v.Value)
	case "pty-req":
		var v struct {
			Term                         string
			Columns, Rows, Width, Height uint32
			Modes                        string
		}
		if ssh.Unmarshal(req.Payload, &v) != nil || running || s.term != nil || strings.ContainsRune(v.Term, 0) {
			return false
		}
		s.term = &windowSize{v.Columns, v.Rows}
		s.env = append(s.env, "TERM="+v.Term)
	case "window-change":
		var v struct{ Columns, Rows, Width, Height uint32 }
		if ssh.Unmarshal(req.Payload, &v) != nil || s.term == nil {
			return false
		}
		select {
		case <-s.resized: // only the latest size counts
		default:
		}
		s.resized <- windowSize{v.Columns, v.Rows} // this loop is the only sender, so there is room
	case "signal":
		var v struct{ Name string }
		if ssh.Unmarshal(req.Payload, &v) != nil {
			return false
		}
		select {
		case s.signals <- v.Name:
		default: // nobody reads so slowly but a command that is gone
		}
	default:
		return false // agent and X11 forwarding
	}
	return true
}

// run runs a command, or a shell for "", and tells how it ended.
func (s *session) run(ctx context.Context, line string) {
	defer s.Close()
	var e exit
	if runtime.GOOS == "windows" {
		e = s.builtin(line)
	} else {
		e = s.command(ctx, line)
	}
	// Sending fails only when nobody is there any more.
	if e.signal != "" {
		_, _ = s.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name   string
			Core   bool
			Text   string
			Locale string
		}{Name: e.signal}))
		return
	}
	_, _ = s.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{e.status}))
}

// variable is the value of a variable of the session's environment; the last one counts.
func (s *session) variable(name string) string {
	for _, kv := range slices.Backward(s.env) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
