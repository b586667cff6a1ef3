package demo_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/demo"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// mini is the program in miniature: just enough of it to pass the story. With a fault it does one thing wrong, and the
// story has to notice. It reads the same configuration and environment as the program.
type mini struct {
	fault string
	cfg   config.Config
	aws   *miniAWS
	lease string // tag key
}

func miniature(fault string, args []string) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m := &mini{fault: fault}
	if m.cfg, err = config.Load(""); err != nil {
		return 2, err
	}
	if m.aws, err = openMiniAWS(ctx, m.cfg.Targets[0].Cluster); err != nil {
		return 1, err
	}
	m.lease = "emr-accessd-lease-" + m.aws.user + "-mini"
	switch args[0] {
	case "run":
		err = m.run(ctx)
	case "sync":
		if fault != "nojoin" {
			err = m.round(ctx, netip.Addr{})
		}
	case "revoke":
		err = m.revoke(ctx)
	case "connect":
		return m.connect(ctx, args[2], args[5:])
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

func (m *mini) place() netip.Addr {
	text, err := os.ReadFile(os.Getenv(demo.SourceVariable))
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(strings.TrimSpace(string(text)))
	return a
}

func (m *mini) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(m.place(), 0))}).DialContext(ctx, network, addr)
}

// address asks all echoes, which must agree.
func (m *mini) address(ctx context.Context) (netip.Addr, error) {
	var agreed netip.Addr
	for _, s := range m.cfg.Address.Sources {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return agreed, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		client := &http.Client{Transport: &http.Transport{DialContext: m.dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
		if err != nil {
			return agreed, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return agreed, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return agreed, err
		}
		a, err := netip.ParseAddr(strings.TrimSpace(string(body)))
		if err != nil || agreed.IsValid() && a != agreed {
			return agreed, fmt.Errorf("%s says %q", s.Operator, body)
		}
		agreed = a
	}
	return agreed, nil
}

// run follows the laptop until it is told to end.
func (m *mini) run(ctx context.Context) error {
	if m.fault == "stubborn" {
		ctx = context.WithoutCancel(ctx)
	}
	var last netip.Addr
	for ctx.Err() == nil {
		if now := m.place(); now.IsValid() && now != last && m.fault != "idle" {
			if err := m.round(ctx, last); err != nil {
				return err
			}
			last = now
			if m.fault == "dies" {
				return errors.New("out of breath")
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	if m.fault == "sloppy" {
		return errors.New("ended in disorder")
	}
	return nil
}

// round brings the rules in step with the address.
func (m *mini) round(ctx context.Context, before netip.Addr) error {
	a, err := m.address(ctx)
	if err != nil {
		return err
	}
	rules, err := m.aws.rules(ctx)
	if err != nil {
		return err
	}
	cidr := netip.PrefixFrom(a, a.BitLen())
	switch {
	case m.fault == "wide":
		cidr = netip.PrefixFrom(a, 0).Masked()
	case m.fault == "wrong port":
		m.cfg.Targets[0].Port = 22
	}
	var here, old *demo.Rule
	for i, r := range rules {
		_, mine := r.Tags[m.lease]
		switch {
		case r.CIDR == cidr && m.ours(r):
			here = &rules[i]
		case mine:
			old = &rules[i]
		}
	}
	shared := old != nil && len(old.Tags) > 1
	switch {
	case here != nil:
		err = m.aws.tag(ctx, here.ID, m.lease)
	case old != nil && (!shared || m.fault == "steal") && m.fault != "readd" && m.fault != "leftover":
		return m.aws.modify(ctx, old.ID, m.port(), cidr)
	default:
		if m.fault == "spare" {
			err = m.aws.authorize(ctx, m.port(), netip.MustParsePrefix("198.51.100.0/24"), m.lease)
		}
		if err == nil {
			err = m.aws.authorize(ctx, m.port(), cidr, m.lease)
		}
	}
	if err != nil || old == nil || m.fault == "leftover" {
		return err
	}
	if shared && m.fault != "lockout" {
		return m.aws.untag(ctx, old.ID, m.lease)
	}
	return m.aws.revoke(ctx, old.ID)
}

// ours tells a rule of the program from other people's.
func (m *mini) ours(r demo.Rule) bool {
	for key := range r.Tags {
		if strings.HasPrefix(key, "emr-accessd-lease-") {
			return true
		}
	}
	return false
}

func (m *mini) port() int { return m.cfg.Targets[0].Port }

func (m *mini) revoke(ctx context.Context) error {
	rules, err := m.aws.rules(ctx)
	if err != nil {
		return err
	}
	for _, r := range rules {
		_, mine := r.Tags[m.lease]
		switch {
		case mine && m.fault != "keeps" && (len(r.Tags) == 1 || m.fault == "lockout"):
			err = m.aws.revoke(ctx, r.ID)
		case mine && m.fault != "keeps":
			err = m.aws.untag(ctx, r.ID, m.lease)
		case m.fault == "greedy" && !r.Egress && r.Description == "carol home":
			err = m.aws.revoke(ctx, r.ID)
		case m.fault == "meddles" && !r.Egress && r.CIDR.Bits() == 0:
			err = m.aws.tag(ctx, r.ID, "seen")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *mini) connect(ctx context.Context, keyFile string, command []string) (int, error) {
	if m.fault == "liar" {
		_, err := fmt.Printf("hello from %s 50000 127.0.0.10 %d\n", m.place(), m.port())
		return 0, err
	}
	if m.fault == "hangs" {
		<-ctx.Done()
		return 255, ctx.Err()
	}
	node, err := m.aws.primary(ctx)
	if err != nil {
		return 255, err
	}
	v := sshsession.Verifier{Instance: node.instance, Console: func(ctx context.Context) (sshsession.HostKeys, sshsession.Origin, error) {
		text, err := m.aws.console(ctx, node.instance)
		if err != nil {
			return sshsession.HostKeys{}, "", err
		}
		keys, err := sshsession.ParseConsole(text)
		return keys, sshsession.OriginConsole, err
	}}
	switch m.fault {
	case "forgets": // verifies, but keeps nothing
	case "trusts": // whatever key comes
		v.Console = nil
		fallthrough
	default:
		if v.Store, err = sshsession.OpenStore(filepath.Join(os.Getenv("EMR_ACCESSD_STATE"), "known_hosts")); err != nil {
			return 255, err
		}
	}
	if m.fault == "trusts" || m.fault == "blind" {
		v.Ask = func(context.Context, sshsession.Question) (bool, error) { return true, nil }
	}
	if _, err := os.Stat(filepath.Join(os.Getenv("EMR_ACCESSD_STATE"), "known_hosts")); err == nil && m.fault == "blind" {
		v.Store, v.Console = nil, nil // once a key is kept, none is compared any more
	}
	c, err := sshsession.Dial(ctx, sshsession.Target{Addr: fmt.Sprintf("%s:%d", node.address, m.port()), Dial: m.dial, Verifier: v,
		Login: sshsession.Login{User: "hadoop", KeyFiles: []string{keyFile}}})
	if err != nil {
		if m.fault == "mild" {
			return 1, err
		}
		return 255, err
	}
	defer c.Close()
	if m.fault == "chatty" {
		fmt.Println("connected")
	}
	return c.Exec(ctx, sshsession.JoinCommand(command), nil, os.Stdout, os.Stderr, nil)
}
