//go:build linux

package netlab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// gateLook is how often the gate looks at the rules: short against everything that is measured.
const gateLook = 20 * time.Millisecond

// Cloud is a simulated AWS with one cluster, whose primary node is behind a gate that drops what the security group
// does not admit.
type Cloud struct {
	Sim                      *awssim.Sim
	Cluster, Instance, Group string
	foreign                  []string // rules that were there from the start
	node                     atomic.Pointer[func(net.Conn)]
}

// ServeNode has a function serve the connections that the gate lets through to the node's port; until then they are closed at once. The
// function is called in a goroutine for each, and closes it.
func (c *Cloud) ServeNode(f func(net.Conn)) { c.node.Store(&f) }

// newCloud makes it. The node has these addresses.
func newCloud(v4, v6 netip.Addr) *Cloud {
	c := &Cloud{Sim: awssim.New(awssim.Options{Region: "eu-west-1"})}
	c.Group = c.Sim.AddGroup(c.Sim.AddVPC(false), "ElasticMapReduce-master", "Master group for Elastic MapReduce")
	c.Sim.AddRule(c.Group, awssim.RuleSpec{FromPort: 0, ToPort: 65535, SourceGroup: c.Group})
	c.Sim.AddRule(c.Group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.200/32", Description: "colleague"})
	node := awssim.NodeSpec{}
	if v4.IsValid() {
		node.PublicIP = v4.String()
	}
	if v6.IsValid() {
		node.IPv6 = v6.String()
	}
	c.Cluster = c.Sim.AddCluster(awssim.ClusterSpec{Name: "nightly-etl", MasterGroup: c.Group, CoreGroup: c.Group, Nodes: []awssim.NodeSpec{node}})
	c.Instance = c.Sim.Nodes(c.Cluster)[0].InstanceID
	c.foreign = c.others()
	return c
}

// Own returns the CIDRs of the program's rules in the group, sorted.
func (c *Cloud) Own() []string {
	own := []string{}
	for _, r := range c.Sim.Rules(c.Group) {
		if r.Tags[sgsync.OwnerTag] != "" {
			own = append(own, r.CIDR)
		}
	}
	slices.Sort(own)
	return own
}

func (c *Cloud) others() []string {
	var others []string
	for _, r := range c.Sim.Rules(c.Group) {
		if r.Tags[sgsync.OwnerTag] == "" {
			others = append(others, fmt.Sprint(r))
		}
	}
	return others
}

// Untouched tells whether the rules that are not the program's are as they were.
func (c *Cloud) Untouched() bool { return slices.Equal(c.foreign, c.others()) }

// Authorized returns every CIDR that any call has asked to open and was not refused, sorted.
func (c *Cloud) Authorized() []string {
	var all []string
	for _, call := range c.Sim.Calls() {
		all = append(all, Opened(call)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Writes is the number of calls that asked for a change.
func (c *Cloud) Writes() (n int) {
	for _, call := range c.Sim.Calls() {
		if call.Write() {
			n++
		}
	}
	return n
}

// PutAt returns when the first call came that opened the port for a CIDR; the zero Time if none has. The rule stands from
// then on: the simulation acts at once.
func (c *Cloud) PutAt(cidr string) time.Time {
	for _, call := range c.Sim.Calls() {
		if slices.Contains(Opened(call), cidr) {
			return call.At
		}
	}
	return time.Time{}
}

// Opened are the CIDRs that a call has opened, in no order; none if it was refused.
func Opened(call awssim.Call) (cidrs []string) {
	if !call.Write() || call.Status != 200 || call.Action == "RevokeSecurityGroupIngress" {
		return nil
	}
	for name, value := range call.Params {
		if strings.Contains(name, "Cidr") && strings.Contains(value, "/") {
			cidrs = append(cidrs, value)
		}
	}
	return cidrs
}

// guard makes the host drop connections to the node's port 22 that no rule admits, and answers those that one does. It
// ends with the lab.
func (c *Cloud) guard(h *Host, nodes ...netip.Addr) error {
	script := []string{"table inet gate {", "set open4 { type ipv4_addr; flags interval; }", "set open6 { type ipv6_addr; flags interval; }",
		"chain in { type filter hook input priority 0;"}
	for _, n := range nodes {
		ln, err := h.Listen("tcp", netip.AddrPortFrom(n, 22).String())
		if err != nil {
			return err
		}
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				if serve := c.node.Load(); serve != nil {
					go (*serve)(conn)
					continue
				}
				conn.Close()
			}
		}()
		family, set := "ip", "open4"
		if n.Is6() {
			family, set = "ip6", "open6"
		}
		script = append(script, fmt.Sprintf("%s daddr %s tcp dport 22 %s saddr != @%s drop", family, n, family, set))
	}
	if err := h.NFT(append(script, "}", "}")...); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	h.lab.OnClose(func() error {
		stop()
		<-ended
		return nil
	})
	go func() {
		defer close(ended)
		c.follow(ctx, h)
	}()
	return nil
}

// follow keeps the gate in step with the group.
func (c *Cloud) follow(ctx context.Context, h *Host) {
	last := ""
	tick := time.NewTicker(gateLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			script := c.gateScript()
			if text := strings.Join(script, "\n"); text != last && h.NFT(script...) == nil {
				last = text
			}
		}
	}
}

// gateScript fills the gate's sets with the CIDRs of the group's rules for port 22.
func (c *Cloud) gateScript() []string {
	script := []string{"flush set inet gate open4", "flush set inet gate open6"}
	for _, r := range c.Sim.Rules(c.Group) {
		p, err := netip.ParsePrefix(r.CIDR)
		if err != nil || r.FromPort > 22 || r.ToPort < 22 {
			continue
		}
		set := "open4"
		if p.Addr().Is6() {
			set = "open6"
		}
		script = append(script, fmt.Sprintf("add element inet gate %s { %s }", set, p))
	}
	return script
}
