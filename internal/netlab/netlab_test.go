//go:build linux

package netlab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// patience is for what must happen soon, on a computer that does much else.
const patience = 30 * time.Second

// need skips a test where no lab can be made. With CI=true it fails instead, so that these tests cannot vanish
// unnoticed.
func need(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("CI must be able to do this: %v", err)
	default:
		t.Skipf("this cannot be done here: %v", err)
	}
}

// newWorld makes a world that ends with the test.
func newWorld(t *testing.T, o netlab.Options) *netlab.World {
	t.Helper()
	need(t, netlab.Available())
	w, err := netlab.NewWorld(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, w.Close()) })
	return w
}

// check ends a test whose world cannot be changed.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// curl asks for a page from a host.
func curl(t *testing.T, w *netlab.World, h *netlab.Host, args ...string) (string, error) {
	t.Helper()
	_, err := exec.LookPath("curl")
	need(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := h.Command(ctx, "curl", append([]string{"-sS", "-m", "5", "--cacert", w.CAFile()}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// mine are the namespaces and files of this process's labs.
func mine(t *testing.T) (found []string) {
	t.Helper()
	for _, dir := range []string{"/run/netns", "/etc/netns"} {
		names, err := filepath.Glob(fmt.Sprintf("%s/netlab-%d-*", dir, os.Getpid()))
		check(t, err)
		found = append(found, names...)
	}
	return found
}
