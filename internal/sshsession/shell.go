package sshsession

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// Terminal is where an interactive session takes place. One Terminal serves one session after the other; it must not be copied.
type Terminal struct {
	// In is the keyboard. If it is no terminal, the shell gets none either and reads In as its standard input.
	In *os.File
	// Out and Err show the session. With a terminal, the server sends everything to Out; its size is asked of Out, or else of In.
	Out, Err io.Writer
	// Term is the terminal's type (TERM). Empty means "dumb".
	Term string
	// Command is run instead of the login shell, with the terminal; usually empty.
	Command string

	once sync.Once
	keys *keyboard
}

func (t *Terminal) keyboard() *keyboard {
	t.once.Do(func() { t.keys = newKeyboard(consoleReader(t.In)) })
	return t.keys
}

// size is the terminal's size in characters, 80 by 24 where it is not known.
func (t *Terminal) size() (width, height int) {
	fds := []int{int(t.In.Fd())}
	if out, ok := t.Out.(*os.File); ok {
		fds = []int{int(out.Fd()), fds[0]}
	}
	for _, fd := range fds {
		if w, h, err := term.GetSize(fd); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

// Shell runs a login shell, or Terminal.Command, interactively: with a terminal on the server that has the local one's type, size and
// modes, while the local one passes every key on. Whatever happens, the local terminal is as before when Shell returns.
//
// It returns the exit status; 128 plus its number for a signal that ended the shell. Where the status is not the shell's own it is
// ExitFailed, with an error: ErrEscape (~. after a newline), ErrTerminalClosed, ErrLostLink, or the context's. The connection is
// closed in these cases.
func (c *Client) Shell(ctx context.Context, t *Terminal) (int, error) {
	if t.In == nil {
		return ExitFailed, ErrNoTerminal
	}
	s, err := c.workSession(ctx)
	if err != nil {
		return ExitFailed, err
	}
	r := newRun(c, s)
	fd := int(t.In.Fd())
	if !term.IsTerminal(fd) {
		s.Stdout, s.Stderr, r.input = r.output(t.Out), r.output(t.Err), t.In
		return r.attend(ctx, t.starter(s))
	}
	shown := newScreenState()
	s.Stdout, s.Stderr = r.output(io.MultiWriter(shown, t.Out)), r.output(io.MultiWriter(shown, t.Err))
	name := t.Term
	if name == "" {
		name = "dumb"
	}
	width, height := t.size()
	modes := terminalModes(fd) // before they are changed
	if err := c.step(ctx, func() error { return s.RequestPty(name, height, width, modes) }); err != nil {
		return ExitFailed, fmt.Errorf("ask for a terminal on the server: %w", err)
	}
	restore, err := makeRaw(t)
	if err != nil {
		return ExitFailed, fmt.Errorf("prepare the terminal: %w", err)
	}
	defer restore()
	input := newTyped()
	r.input = input
	var helpers sync.WaitGroup
	defer func() {
		input.end()
		idle := make(chan struct{})
		go func() {
			helpers.Wait()
			close(idle)
		}()
		select { // they use the terminal, which the caller may close
		case <-idle:
		case <-time.After(drainWait): // or are stuck writing to it
		}
	}()
	keys := t.keyboard()
	helpers.Go(func() { r.readKeys(t, keys, input) })
	helpers.Go(func() {
		watchSize(r.over, t, width, height, func(w, h int) { _ = s.WindowChange(h, w) })
	})
	status, err := r.attend(ctx, t.starter(s))
	if err != nil { // the programs on the server had no time to leave the screen in order
		t.tidy(shown.undo() + "\r\n") // what is said about it begins on a line of its own
	}
	return status, err
}

// tidy writes to the screen, unless that is stuck: the user who leaves is not held up.
func (t *Terminal) tidy(text string) {
	written := make(chan struct{})
	go func() {
		_, _ = io.WriteString(t.Out, text)
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(drainWait):
	}
}

// Forget drops what was typed and not read yet, so that keys pressed while nothing answered do not become commands of the next
// session.
func (t *Terminal) Forget() {
	if fd := int(t.In.Fd()); term.IsTerminal(fd) {
		dropTyped(fd, t.keyboard())
	}
}

func (t *Terminal) starter(s *ssh.Session) func() error {
	if t.Command != "" {
		return func() error { return s.Start(t.Command) }
	}
	return s.Shell
}

// readKeys carries what is typed to the session, and acts on the escapes.
func (r *run) readKeys(t *Terminal, keys *keyboard, input *typed) {
	var e escapes
	for {
		select {
		case <-r.over:
			return
		case chunk, ok := <-keys.chunks:
			if !ok {
				r.end(ExitFailed, ErrTerminalClosed)
				return
			}
			send, end, help := e.filter(chunk)
			input.push(send)
			if help {
				_, _ = io.WriteString(t.Err, escapeHelp)
			}
			if end {
				r.end(ExitFailed, ErrEscape)
				return
			}
		}
	}
}

// makeRaw has the terminal pass every key on, and returns what undoes it.
func makeRaw(t *Terminal) (restore func(), err error) {
	fd := int(t.In.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	restoreOutput := prepareOutput(t.Out)
	return func() {
		restoreOutput()
		_ = term.Restore(fd, before) // fails only when the terminal is gone
	}, nil
}

// SaveTerminal remembers a terminal's modes; what it returns brings them back, for after another program that used the terminal.
func SaveTerminal(tty *os.File) (restore func()) {
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(int(tty.Fd()), before) } // fails only when the terminal is gone
}
