package sshsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNoTerminal says that the process has no terminal, so nobody can be asked.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// Prompter asks the person at the process's own terminal, even when the standard streams are redirected. Its methods fit into
// Verifier.Ask and Login.Passphrase.
type Prompter struct {
	in, out *os.File
	keys    *keyboard // nil: in is read
}

// OpenPrompter opens the process's terminal, /dev/tty or the console. The error is ErrNoTerminal if there is none.
func OpenPrompter() (*Prompter, error) {
	in, err := os.OpenFile(ttyIn, os.O_RDWR, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	out := in
	if ttyOut != ttyIn {
		if out, err = os.OpenFile(ttyOut, os.O_RDWR, 0); err != nil {
			in.Close()
			return nil, ErrNoTerminal
		}
	}
	p, err := NewPrompter(in, out)
	if err != nil {
		in.Close()
		out.Close()
	}
	return p, err
}

// NewPrompter asks on this terminal; in and out may be the same file. The error is ErrNoTerminal if in is none.
func NewPrompter(in, out *os.File) (*Prompter, error) {
	if !term.IsTerminal(int(in.Fd())) {
		return nil, ErrNoTerminal
	}
	return &Prompter{in: in, out: out}, nil
}

// After has the prompter take its answers from where a session has read its keys: that reading cannot be taken back, and would get a
// part of them. Nil stands for no session.
func (p *Prompter) After(t *Terminal) {
	if t != nil && t.keys != nil {
		p.keys = t.keys
	}
}

// Close closes the terminal's files.
func (p *Prompter) Close() error {
	err := p.in.Close()
	if p.out != p.in {
		err = errors.Join(err, p.out.Close())
	}
	return err
}

// Passphrase asks for the passphrase of a key file, without an echo.
func (p *Prompter) Passphrase(ctx context.Context, file string) ([]byte, error) {
	secret, err := p.ask(ctx, fmt.Sprintf("Passphrase for the key %s: ", printable(file)), true)
	return []byte(secret), err
}

// HostKey shows a host key's fingerprint and asks whether it is the right one. As with OpenSSH, the answer is yes, no, or the
// fingerprint itself, which is then compared.
func (p *Prompter) HostKey(ctx context.Context, q Question) (bool, error) {
	why := "nothing vouches for it"
	if q.Why != nil {
		why = printable(q.Why.Error())
	}
	fmt.Fprintf(p.out, "The host key of %s (%s) is not verified: %s.\n%s key fingerprint is %s\n", printable(q.Instance), printable(q.Addr),
		why, typeLabel(q.Key.Type), q.Key.SHA256)
	prompt := "Is this the right key (yes/no/[fingerprint])? "
	for {
		answer, err := p.ask(ctx, prompt, false)
		if err != nil {
			return false, err
		}
		answer = strings.TrimSpace(answer)
		switch {
		case strings.EqualFold(answer, "yes"), answer == q.Key.SHA256:
			return true, nil
		case strings.EqualFold(answer, "no"):
			return false, nil
		case strings.HasPrefix(answer, "SHA256:"):
			fmt.Fprintln(p.out, "The fingerprint that you gave is another one.")
			return false, nil
		}
		prompt = "Please type yes, no or the fingerprint: "
	}
}

// ask reads one line with the terminal in raw mode, so that Ctrl-C comes as a key: then no signal can leave the terminal without its echo.
// What was typed before the question is no answer to it.
// When the context ends, the terminal is restored at once, and the read that is under way is left behind.
func (p *Prompter) ask(ctx context.Context, prompt string, secret bool) (string, error) {
	fd := int(p.in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("prepare the terminal: %w", err)
	}
	defer func() { _ = term.Restore(fd, before) }() // fails only when the terminal is gone
	restoreOutput := prepareOutput(p.out)
	defer restoreOutput()
	dropTyped(fd, p.keys)
	in := io.Reader(p.in)
	if p.keys != nil {
		over := make(chan struct{})
		defer close(over)
		in = &keyReader{keys: p.keys, over: over}
	}
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		// Nothing is drawn before the answer but the prompt, so a line editor may write from this goroutine.
		t := term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{in, p.out}, prompt)
		var a answer
		if secret {
			a.line, a.err = t.ReadPassword(prompt)
		} else {
			a.line, a.err = t.ReadLine()
		}
		answers <- a
	}()
	select {
	case <-ctx.Done():
		fmt.Fprint(p.out, "\r\n")
		return "", context.Cause(ctx)
	case a := <-answers:
		if errors.Is(a.err, io.EOF) { // Ctrl-C, Ctrl-D, or the terminal is gone
			fmt.Fprint(p.out, "\r\n")
			return "", ErrInterrupted
		}
		if errors.Is(a.err, term.ErrPasteIndicator) {
			return a.line, nil
		}
		return a.line, a.err
	}
}
