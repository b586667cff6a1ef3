package demo

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// remoteCommand is what the session runs: the node's shell fills in what its SSH server saw.
const remoteCommand = "echo hello from $SSH_CONNECTION"

// refusedCode is the exit code of connect for its own failures, as ssh's.
const refusedCode = 255

// connect is step 4: a session on the node, and none when the node shows another host key.
func (s *story) connect(ctx context.Context) error {
	args := []string{"connect", "-i", keyName, s.w.Cluster(), "--", remoteCommand}
	s.command(commandLine(args))
	began := time.Now()
	c, err := s.must(ctx, s.w.alice, args...)
	if err != nil {
		return err
	}
	took := time.Since(began)
	logins := s.w.node.loggedIn()
	if len(logins) != 1 {
		return fmt.Errorf("the node saw %d logins, not 1", len(logins))
	}
	if err := s.checkHello(c.stdout.String(), logins[0]); err != nil {
		return fmt.Errorf("%w; %s", err, c.said())
	}
	s.timed(took, "%s", strings.TrimSpace(c.stdout.String()))
	file, err := s.checkKnownHosts(s.w.node.hostKeys())
	if err != nil {
		return err
	}
	s.tell("the host key came from EC2's console output, and is kept in %s", s.short(file))
	return s.impostor(ctx, args)
}

// checkHello checks that the answer is what the node's shell wrote for this very connection.
func (s *story) checkHello(out string, login netip.AddrPort) error {
	at := s.w.node.listen
	want := fmt.Sprintf("hello from %s %d %s %d\n", login.Addr(), login.Port(), at.Addr(), at.Port())
	switch {
	case login.Addr() != home():
		return fmt.Errorf("the login came from %s, not from %s", login.Addr(), home())
	case out != want:
		return fmt.Errorf("standard output is %q, not %q", out, want)
	}
	return nil
}

// checkKnownHosts checks that a genuine host key of the node was kept, under its instance id and as one that EC2's
// console output told, and that no other key was.
func (s *story) checkKnownHosts(keys []ssh.Signer) (string, error) {
	file := filepath.Join(s.w.alice.StateDir, "known_hosts")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the host key was not kept: %w", err)
	}
	genuine := map[string]bool{}
	for _, k := range keys {
		genuine[base64.StdEncoding.EncodeToString(k.PublicKey().Marshal())] = true
	}
	kept := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // instance, type, key, origin, time
		switch {
		case len(f) == 0 || strings.HasPrefix(f[0], "#"):
		case len(f) < 4 || f[0] != s.w.cloud.instance || !genuine[f[2]] || f[3] != "console":
			return "", fmt.Errorf("%s holds %s, which is no key of %s from the console", file, strconv.Quote(line), s.w.cloud.instance)
		default:
			kept++
		}
	}
	if kept == 0 {
		return "", fmt.Errorf("%s holds no key", file)
	}
	return file, nil
}

// impostor gives the node other host keys, as if somebody else answered at its address, and checks that connect does
// not log in there.
func (s *story) impostor(ctx context.Context, args []string) error {
	others, err := newHostKeys()
	if err != nil {
		return err
	}
	genuine := s.w.node.setKeys(others)
	defer s.w.node.setKeys(genuine)
	s.tell("somebody else answers at the node's address, with the host key %s:", ssh.FingerprintSHA256(others[len(others)-1].PublicKey()))
	s.command(commandLine(args))
	before, passed, began := len(s.w.node.loggedIn()), s.w.gate.admitted.Load(), time.Now()
	c, err := s.run(ctx, s.w.alice, args...)
	if err != nil {
		return err
	}
	switch {
	case len(s.w.node.loggedIn()) != before:
		return fmt.Errorf("it logged in on a node with another host key")
	case c.code() != refusedCode:
		return fmt.Errorf("it ended with code %d, not %d; %s", c.code(), refusedCode, c.said())
	case c.stdout.String() != "":
		return fmt.Errorf("it wrote %q to standard output", c.stdout.String())
	case s.w.gate.admitted.Load() == passed:
		return fmt.Errorf("it did not even connect; %s", c.said())
	case !strings.Contains(c.stderr.String(), "host key"):
		return fmt.Errorf("it does not say that the host key is the reason; %s", c.said())
	}
	s.timed(time.Since(began), "refused with code %d, before a login was tried", refusedCode)
	_, err = s.checkKnownHosts(genuine)
	return err
}
