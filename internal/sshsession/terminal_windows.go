package sshsession

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/term"

	"golang.org/x/crypto/ssh"
)

// consoleReader reads the console. Package os ends the input at each Ctrl-Z, which in a raw console is a key like any other.
func consoleReader(in *os.File) io.Reader {
	if !term.IsTerminal(int(in.Fd())) {
		return in
	}
	return readerFunc(func(p []byte) (int, error) {
		n, err := in.Read(p)
		if n == 0 && err == io.EOF && len(p) > 0 {
			p[0] = 0x1a
			return 1, nil
		}
		return n, err
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// prepareOutput has the console understand the escape sequences that programs on the server send.
func prepareOutput(out io.Writer) (restore func()) {
	f, ok := out.(*os.File)
	if !ok {
		return func() {}
	}
	h := windows.Handle(f.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(h, &mode); err != nil {
		return func() {}
	}
	// Old consoles refuse the second flag; without it a line feed also returns the carriage.
	if windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING|windows.DISABLE_NEWLINE_AUTO_RETURN) != nil {
		_ = windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
	}
	return func() { _ = windows.SetConsoleMode(h, mode) }
}

// sizePoll is how often the size is looked at: there is no SIGWINCH, and a quarter of a second is not felt as a delay.
const sizePoll = 250 * time.Millisecond

// watchSize reports each new size of the terminal until over is closed.
func watchSize(over <-chan struct{}, t *Terminal, width, height int, changed func(width, height int)) {
	tick := time.NewTicker(sizePoll)
	defer tick.Stop()
	for {
		if w, h := t.size(); w != width || h != height {
			width, height = w, h
			changed(w, h)
		}
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}

// terminalModes is empty: the console has no modes that SSH knows, and the server's own are good ones.
func terminalModes(int) ssh.TerminalModes { return ssh.TerminalModes{} }
