package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// closedProof is what a fresh connection to the port said after the rules were closed.
type closedProof struct {
	Node    string `json:"node"`    // host:port; "" when nothing was tried
	Result  string `json:"result"`  // connected, refused, failed or not-tried
	Counts  bool   `json:"counts"`  // only my own rules admit me, so the connection says something about them
	Because string `json:"because"` // a sentence
	// AdmittedBy are the rules that admit the own address now, the most permissive first.
	AdmittedBy []string `json:"admitted_by"`
}

const (
	// closeSettle is how long is waited before the port is tried: a rule that was removed may act for a moment
	// longer ("a small delay might occur", EC2 API Reference, RevokeSecurityGroupIngress), and a connection in
	// that moment would prove nothing. No number is documented.
	closeSettle = 3 * time.Second
	// proofDial ends one attempt to connect; proofBanner is how long the server may take to say its first word.
	proofDial   = 5 * time.Second
	proofBanner = 5 * time.Second
)

// prove connects to the primary node anew. Security groups keep connections that are established, so only a
// fresh one tells.
func (c *closing) prove(ctx context.Context) {
	p := &closedProof{Result: "not-tried", AdmittedBy: []string{}}
	c.answer.Proof = p
	_, addr, err := nodeAddress(c.report.Targets[0], c.target, nodeChoice{}, "")
	if err != nil {
		p.Because = fmt.Sprintf("Nothing was tried: %v.", err)
		return
	}
	p.Node = addr
	c.app.status.say("trying the port")
	sleep(ctx, closeSettle)
	for deadline := time.Now().Add(settleTime); ; sleep(ctx, time.Second) {
		if p.Result, err = tryPort(ctx, addr); p.Result != "failed" || time.Now().After(deadline) || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		p.Result, p.Because = "not-tried", "Whether the port still answers was not found out: interrupted."
		return
	}
	c.admitted(ctx, p, addr)
	switch {
	case p.Result == "failed":
		p.Because = fmt.Sprintf("%s does not answer any more: %v.", addr, err)
	case !p.Counts && len(p.AdmittedBy) > 0:
		p.Because = fmt.Sprintf("%s answers, but that proves nothing about your own rule: you are admitted by %s too.", addr, strings.Join(p.AdmittedBy, ", "))
	case !p.Counts:
		p.Because = addr + " answers, but which rules admit you could not be read again."
	case p.Result == "refused":
		p.Because = addr + " is reached by your own rule; nothing listens on the port there."
	default:
		p.Because = addr + " answers, and only your own rule admits you."
	}
}

// admitted finds out whether the connection can have come in by anything but the own rules.
func (c *closing) admitted(ctx context.Context, p *closedProof, addr string) {
	host, err := netip.ParseAddrPort(addr)
	if err != nil {
		return
	}
	family := ipwatch.V4
	if host.Addr().Is6() {
		family = ipwatch.V6
	}
	me, err := netip.ParseAddr(c.report.Targets[0].Verdicts[family.String()].Address)
	if err != nil {
		return
	}
	found, err := c.app.survey(ctx, c.target, c.target.Nodes)
	if err != nil || len(found) != 1 {
		return
	}
	found[0].From = me
	res := sgsync.Audit(found[0].Survey)
	if !res.Complete { // what could not be read may admit us, too
		return
	}
	p.AdmittedBy = res.From.Rules
	own := map[string]bool{}
	for _, fs := range c.footings {
		for _, f := range fs {
			own[f.Rule] = true
		}
	}
	p.Counts = len(p.AdmittedBy) > 0 && !slices.ContainsFunc(p.AdmittedBy, func(id string) bool { return !own[id] })
}

// tryPort connects once. A refusal comes from the host itself: a security group that does not admit us drops
// packets in silence. A server that hangs up before its first word is a failure: something stands in between.
func tryPort(ctx context.Context, addr string) (string, error) {
	dial := demoDial()
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	dctx, cancel := context.WithTimeout(ctx, proofDial)
	defer cancel()
	conn, err := dial(dctx, "tcp", addr)
	if refused(err) {
		return "refused", nil
	}
	if err != nil {
		return "failed", err
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(proofBanner)) // without it the read ends with the connection
	_, err = io.ReadFull(conn, make([]byte, 1))
	if ne, ok := errors.AsType[net.Error](err); err == nil || ok && ne.Timeout() { // a server that waits for us to speak is one, too
		return "connected", nil
	}
	return "failed", fmt.Errorf("it hangs up at once (%w)", err)
}

// refused reports whether the host itself said no. Windows has an error number of its own for it (WSAECONNREFUSED),
// which package syscall does not name.
func refused(err error) bool {
	no, ok := errors.AsType[syscall.Errno](err)
	return ok && (no == syscall.ECONNREFUSED || runtime.GOOS == "windows" && no == 10061)
}

// verdict is the command's end. A port that is lost is an error, with the way back; nothing is opened
// unattended.
func (c *closing) verdict(ctx context.Context) error {
	if p := c.answer.Proof; p != nil && p.Result == "failed" {
		for _, r := range c.answer.Close {
			if r.State == "closed" {
				fmt.Fprintf(c.app.Err, "emr-accessd: to put %s back: %s\n  or: %s\n", r.Rule, r.Restore, printable(r.RestoreAWS))
			}
		}
		if !c.flags.yes && c.app.terminal() {
			if ok, err := c.app.confirm(ctx, "The port is lost. Put the rules back, open to everybody?", false); err == nil && ok {
				return c.putBack(ctx)
			}
		}
		return hinted{errors.New(strings.TrimSuffix(p.Because, ".") + "; the rules were closed and stay closed"), exitFailed,
			"your own rule may take some seconds more to act; `emr-accessd connect` tells more. The commands above put the rules back"}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the rules were closed, but the port was not tried: %w", err)
	}
	if len(c.answer.Left) > 0 {
		return exitStatus(exitFindings)
	}
	return nil
}

func (c *closing) putBack(ctx context.Context) error {
	for _, r := range c.answer.Close {
		if r.State != "closed" {
			continue
		}
		f := c.flags
		f.restore, f.yes, f.dry = r.Rule, true, false
		if err := c.app.restore(ctx, f); err != nil {
			return err
		}
	}
	return hinted{errors.New("the port did not answer, and the rules were put back"), exitFailed, "find out why your own rule does not let you in: emr-accessd connect"}
}
