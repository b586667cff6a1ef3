// Package mototest starts moto_server for tests: an AWS simulation by other people, which keeps ours honest.
package mototest

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// startTime is how long moto may take to answer: 1.5 s on an idle machine, far more on a loaded one.
const startTime = 2 * time.Minute

// Need skips a test whose peer is missing. With CI=true it fails instead, so that the peer cannot vanish
// unnoticed.
func Need(t testing.TB, peer string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must have %s: %v", peer, err)
	}
	t.Skipf("%s is not here: %v", peer, err)
}

// Start starts moto_server on a free loopback port and returns its endpoint. It ends with the test.
func Start(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		Need(t, "moto_server", err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	var log logBuffer
	cmd := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	cmd.Dir = t.TempDir() // moto writes files into its working directory
	cmd.Stdout, cmd.Stderr = &log, &log
	DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		Need(t, "moto_server", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed below: the error says only that
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("moto_server wrote:\n%s", log.tail())
		}
	})
	endpoint := "http://127.0.0.1:" + port
	client := &http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended: // whoever answers on the port, it is not our child
			t.Fatalf("moto_server ended at once: %s", log.tail())
		default:
		}
		resp, err := client.Get(endpoint + "/moto-api/data.json")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return endpoint
		}
	}
	t.Fatalf("moto_server does not answer: %s", log.tail())
	return ""
}

func freePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// logBuffer takes a child's output, which os/exec writes from a goroutine of its own.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.b.String()
	return s[max(0, len(s)-4000):]
}
