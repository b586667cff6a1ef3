//go:build unix

package transfer

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A server that stops answering does not hold the user, and what may be left is told.
func TestFrozen(t *testing.T) {
	home, back := t.TempDir(), t.TempDir()
	tree(t, home, map[string]string{"big": noise(300 * chunk), "old": "old"})
	for _, verb := range []string{"put", "get"} {
		c, process := startServer(t, home)
		c.patience = 300 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		m := &Meter{}
		go func() {
			for m.Read().DoneBytes == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			_ = process.Signal(syscall.SIGSTOP)
			cancel()
		}()
		var r Report
		var err error
		begun := time.Now()
		if verb == "put" {
			r, err = c.PutStream(ctx, rand.NewChaCha8([32]byte{}), "old", Options{Meter: m})
		} else {
			r, err = c.Get(ctx, []string{"big"}, back, Options{Meter: m})
		}
		took := time.Since(begun)
		cancel()
		_ = process.Signal(syscall.SIGCONT)
		if err == nil {
			err = r.Err()
		}
		if verb == "put" && (err == nil || content(t, filepath.Join(home, "old")) != "old" || r.Files[0].Part == "") {
			t.Errorf("put: %v, %+v", err, r)
		}
		if verb == "get" && err != nil && listing(t, back) != "" { // without an error it was faster than the signal
			t.Errorf("get: %v, and there remains %q", err, listing(t, back))
		}
		if took > 20*time.Second {
			t.Errorf("%s: it took %v", verb, took)
		}
	}
}
