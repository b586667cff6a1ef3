package svcmgr

import (
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Notifier tells systemd of this process (sd_notify(3), the protocol in "NOTES"). A nil one tells nobody.
type Notifier struct {
	addr     net.UnixAddr
	interval time.Duration // of the watchdog; 0 is none

	mu    sync.Mutex
	last  string // the status that was told last
	ready bool
}

// NewNotifier finds out whether this process was started by a unit that wants to be told, and takes that out of the
// environment: the program's own children are not meant.
func NewNotifier() *Notifier {
	socket, usec, pid := os.Getenv("NOTIFY_SOCKET"), os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		_ = os.Unsetenv(name)
	}
	if !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") {
		return nil
	}
	n := &Notifier{addr: net.UnixAddr{Name: socket, Net: "unixgram"}}
	if us, err := strconv.ParseInt(usec, 10, 64); err == nil && us > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.interval = time.Duration(us) * time.Microsecond
	}
	return n
}

// Watchdog is the longest time between two calls of [Notifier.Alive]; 0 is none.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.interval
}

// Alive tells that the program works. The first one tells that it has begun.
func (n *Notifier) Alive() { n.tell("") }

// Status is [Notifier.Alive], and one line about what the program does now. It is sent when it has changed.
func (n *Notifier) Status(text string) { n.tell(text) }

// Stopping tells that the program is about to end.
func (n *Notifier) Stopping() {
	if n != nil {
		n.send("STOPPING=1")
	}
}

func (n *Notifier) tell(status string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	lines := []string{"WATCHDOG=1"}
	if !n.ready {
		lines = append(lines, "READY=1")
	}
	if status == "" {
		status = n.last
	}
	if status != n.last {
		lines = append(lines, "STATUS="+strings.ReplaceAll(status, "\n", " "))
	}
	if n.send(strings.Join(lines, "\n")) {
		n.ready, n.last = true, status
	}
}

// send reports whether the manager has taken it. What it has not is said again with the next: a manager that is away has
// nobody to tell, and one that is busy must hear that the program has begun.
func (n *Notifier) send(text string) bool {
	c, err := net.DialUnix("unixgram", nil, &n.addr)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // a full socket must not hold the loop up
	_, err = c.Write([]byte(text))
	return err == nil
}
