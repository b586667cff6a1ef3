package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/emr-accessd/emr-accessd/internal/tunnel"
)

func TestWarnOnce(t *testing.T) {
	var b strings.Builder
	w := &warnOnce{w: &b}
	for range 3 {
		fmt.Fprintln(w, "emr-accessd: warning: sg-1 is open to the world")
		fmt.Fprintln(w, "emr-accessd: connected again")
	}
	fmt.Fprintln(w, "emr-accessd: warning: another")
	if got := b.String(); strings.Count(got, "sg-1") != 1 || strings.Count(got, "connected again") != 3 || !strings.Contains(got, "another") {
		t.Errorf("%q", got)
	}
}

// What time mends does not end a tunnel, and what it does not, does.
func TestRedialFinal(t *testing.T) {
	r := &redial{}
	for _, err := range []error{&sshsession.MismatchError{}, &sshsession.AuthError{Methods: []string{"password"}}, sshsession.ErrUnverified, keeper.ErrEnded, keeper.ErrRevoked, usageError{keeper.ErrNothing, ""}} {
		if !r.final(fmt.Errorf("connect: %w", err)) {
			t.Errorf("%v is tried again", err)
		}
	}
	for _, err := range []error{&sshsession.DialError{Problem: sshsession.DialTimeout}, sshsession.ErrHandshake, sshsession.ErrLostLink, keeper.ErrPrivate, keeper.ErrPaused} {
		if r.final(fmt.Errorf("connect: %w", err)) {
			t.Errorf("%v ends the tunnel", err)
		}
	}
}

// A web interface is looked for at the node's own address first, on each of its ports; without a node, at loopback alone.
func TestRemotes(t *testing.T) {
	hdfs, _ := tunnel.FindUI("hdfs")
	if got := fmt.Sprint(remotes(hdfs, netip.MustParseAddr("10.0.0.10"))); got != "[10.0.0.10:9870 localhost:9870 10.0.0.10:50070 localhost:50070]" {
		t.Error(got)
	}
	if got := fmt.Sprint(remotes(hdfs, netip.Addr{})); got != "[localhost:9870 localhost:50070]" {
		t.Error(got)
	}
}
