//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// inner is the laptop's address in the network of each router.
var inner = []netip.Addr{netlab.Laptop, netip.MustParseAddr("192.168.7.30"), netlab.Laptop}

// network does a fault to the way from the laptop to the internet.
func (l *laptop) network(ctx context.Context, f fault) error {
	here := l.routers[l.at]
	switch f.Kind {
	case "another network":
		to := 1
		if l.at == 1 {
			to = int(f.N % 2 * 2)
		}
		return errors.Join(l.move(ctx, to), wait(ctx, f.For/4))
	case "same private address elsewhere":
		to := 2
		if l.at == 2 {
			to = 0
		}
		return errors.Join(l.move(ctx, to), wait(ctx, f.For/4))
	case "another address behind the router":
		a := l.fresh(l.at)
		l.foresee(a)
		err := here.Readdress(a)
		l.seenAs(a)
		l.change(f.Kind)
		return errors.Join(err, wait(ctx, f.For/4))
	case "offline":
		a := here.Outer
		l.seenAs(netip.Addr{})
		err := errors.Join(l.WiFi.Unplug(), wait(ctx, f.For), l.WiFi.Plug(here), l.WiFi.Configure(inner[l.at]))
		l.seenAs(a)
		return err
	case "packets lost":
		return errors.Join(here.Drop(fmt.Sprintf("numgen random mod 100 < %d", 10+f.N%40)), wait(ctx, f.For), here.Drop())
	case "packets late":
		here.Line.Take(100*time.Millisecond + time.Duration(f.N%300)*time.Millisecond)
		err := wait(ctx, f.For)
		here.Line.Take(oneWay)
		return err
	case "no name server":
		return errors.Join(here.Drop("udp dport 53"), wait(ctx, f.For), here.Drop())
	case "captive portal":
		return errors.Join(here.Redirect("443 8443", "80 8080"), wait(ctx, f.For), here.Redirect())
	}
	return errors.New("no such fault")
}

// move takes the laptop to another router, which has got another address in the meantime.
func (l *laptop) move(ctx context.Context, to int) error {
	r, a := l.routers[to], l.fresh(to)
	if err := errors.Join(r.Readdress(a), l.WiFi.Unplug()); err != nil {
		return err
	}
	l.seenAs(netip.Addr{})
	err := errors.Join(wait(ctx, 300*time.Millisecond), l.WiFi.Plug(r), wait(ctx, 200*time.Millisecond))
	l.at = to
	l.foresee(a)
	err = errors.Join(err, l.WiFi.Configure(inner[to]))
	l.seenAs(a)
	l.change("another network")
	return err
}

// source does a fault to those who tell the address.
func (l *laptop) source(ctx context.Context, f fault) error {
	one := netlab.Operators[f.N%uint64(len(netlab.Operators))]
	all := f.N>>8%4 == 0
	say := map[kind]func(netip.Addr) string{
		"echoes down": netlab.Down, "echo lies": netlab.Fixed(liar), "echoes say garbage": netlab.Fixed(string(noise(f.N, int(f.N>>16%3000)+1))),
		"echoes say HTML": netlab.Page, "echoes slow": netlab.Slow(netlab.Honest, time.Second+time.Duration(f.N>>16%4000)*time.Millisecond),
	}[f.Kind]
	for name, e := range l.Echoes {
		// Those who agree on a lie are believed: that is what agreement means. So one lies.
		if say != nil && (name == one || all && f.Kind != "echo lies" || l.conspire) {
			e.Say(func(from netip.Addr) string {
				l.met(f.Kind)
				return say(from)
			})
			defer e.Say(netlab.Honest)
		}
	}
	for i, s := range l.STUN {
		if !all && uint64(i) != f.N%2 {
			continue
		}
		switch f.Kind {
		case "STUN down":
			s.Say(func(from netip.AddrPort) netip.AddrPort {
				l.met(f.Kind)
				return netlab.Silent(from)
			})
			defer s.Say(netlab.Seen)
		case "STUN lies":
			s.Say(func(netip.AddrPort) netip.AddrPort {
				l.met(f.Kind)
				return netip.MustParseAddrPort(liar + ":4000")
			})
			defer s.Say(netlab.Seen)
		case "STUN says garbage":
			s.Noise(noise(f.N, int(f.N>>16%600)+1))
			defer s.Noise(nil)
		}
	}
	return wait(ctx, f.For)
}
