package demo_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// TestNodeFiles: what put and get need.
func TestNodeFiles(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	c, err := dialNode(w, "hadoop", loginKey(t, w))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Create("job.py")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "print()\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	home, err := files.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(home, "job.py")); err != nil || string(text) != "print()\n" {
		t.Errorf("the node's home %s has %q, %v", home, text, err)
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestSubsystem("netconf"); err == nil {
		t.Error("a subsystem that is not there was started")
	}
}

// TestNodeForwards: what tunnel needs, and nothing beyond this computer.
func TestNodeForwards(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	c, err := dialNode(w, "hadoop", loginKey(t, w))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") }))
	defer page.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: c.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get(strings.Replace(page.URL, "127.0.0.1", "localhost", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "a page" {
		t.Errorf("through the node: %q, %v", text, err)
	}
	for _, to := range []string{"192.0.2.1:80", "example.com:80", "[::ffff:192.0.2.1]:80"} {
		var refused *ssh.OpenChannelError
		if _, err := c.Dial("tcp", to); !errors.As(err, &refused) || refused.Reason != ssh.Prohibited {
			t.Errorf("%s: %v", to, err)
		}
	}
}
