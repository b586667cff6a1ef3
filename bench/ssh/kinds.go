//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

func connect(t timing) time.Duration { return t.connect }
func wire(t timing) time.Duration    { return t.wire }
func whole(t timing) time.Duration   { return t.whole }

// kinds are all that is measured.
func (w *world) kinds() []kind {
	s := w.opt.sizes()
	out := w.path("out")
	clear := func() error {
		return errors.Join(os.RemoveAll(out), os.Mkdir(out, 0o755))
	}
	first := func(aws *relay) func() command { // a cluster that is not in the configuration: its rule is added, and given back at the end
		return func() command {
			c := w.tool("notarget.toml", aws, "connect", "-i", w.path("login.pem"), "-l", w.login, "--host", w.node.addr(), w.moto.cluster, "--", "true")
			c.line = w.node
			return c
		}
	}
	again := func(aws *relay) func() command {
		return func() command {
			c := w.tool("config.toml", aws, "connect", "-i", w.path("login.pem"), "-l", w.login, "--host", w.node.addr(), w.moto.cluster, "--", "true")
			c.line = w.node
			return c
		}
	}
	kinds := []kind{
		{name: "until it connects, AWS near", other: "aws emr ssh, until it calls ssh", aim: 0.2, of: connect, a: again(w.aws), b: func() command { return w.awsEMR(w.aws, false) }},
		{name: "until it connects, AWS 40 ms away", other: "aws emr ssh, until it calls ssh", aim: 0.2, of: connect, a: again(w.farAWS), b: func() command { return w.awsEMR(w.farAWS, false) }},
		{name: "the same with a rule to add", other: "aws emr ssh, until it calls ssh", of: connect, a: first(w.farAWS), b: func() command { return w.awsEMR(w.farAWS, false) }},
		{name: "a command, from start to end", other: "aws emr ssh", of: whole, a: again(w.aws), b: func() command { return w.awsEMR(w.aws, true) }},
	}
	for _, d := range []struct {
		node       *relay
		host, name string
		size       int64
		file       string
	}{{w.node, "near", "0 ms", s.near, w.path("near.bin")}, {w.farNode, "far", "80 ms", s.far, w.path("far.bin")}} {
		upload := func(c command) command { c.stdin = d.file; return c }
		kinds = append(kinds,
			kind{name: "connection for a command, " + d.name, other: "ssh", aim: 1, of: wire,
				a: func() command { return w.to(d.node, "connect", "--", "true") },
				b: func() command { return w.openSSH(d.node, "ssh", d.host, "true") }},
			kind{name: "download by cat, " + d.name, other: "ssh", of: wire, bytes: d.size,
				a: func() command { return w.to(d.node, "connect", "--", "cat", d.file) },
				b: func() command { return w.openSSH(d.node, "ssh", d.host, "cat", d.file) }},
			kind{name: "upload by cat, " + d.name, other: "ssh", of: wire, bytes: d.size,
				a: func() command { return upload(w.to(d.node, "connect", "--", "cat >/dev/null")) },
				b: func() command { return upload(w.openSSH(d.node, "ssh", d.host, "cat >/dev/null")) }},
			kind{name: "get, " + d.name, other: "scp", aim: farAim(d.host), of: wire, bytes: d.size, reset: clear,
				a: func() command { return w.to(d.node, "get", d.file, out) },
				b: func() command { return w.openSSH(d.node, "scp", "-p", d.host+":"+d.file, out) }},
			kind{name: "put, " + d.name, other: "scp", aim: farAim(d.host), of: wire, bytes: d.size, reset: clear,
				a: func() command { return w.to(d.node, "put", d.file, out) },
				b: func() command { return w.openSSH(d.node, "scp", "-p", d.file, d.host+":"+out) }},
		)
	}
	small := int64(s.smallFiles) * 2000
	kinds = append(kinds,
		kind{name: fmt.Sprintf("get %d small files, 80 ms", s.smallFiles), other: "scp -r", aim: 1, of: wire, bytes: small, reset: clear,
			a: func() command { return w.to(w.farNode, "get", w.path("small"), out) },
			b: func() command { return w.openSSH(w.farNode, "scp", "-rp", "far:"+w.path("small"), out) }},
		kind{name: fmt.Sprintf("put %d small files, 80 ms", s.smallFiles), other: "scp -r", aim: 1, of: wire, bytes: small, reset: clear,
			a: func() command { return w.to(w.farNode, "put", w.path("small"), out) },
			b: func() command { return w.openSSH(w.farNode, "scp", "-rp", w.path("small"), "far:"+out) }},
		kind{name: "download by ssh through proxy", other: "ssh, direct", aim: 1, of: wire, bytes: s.near,
			a: func() command { return w.openSSH(w.node, "ssh", "through", "cat", w.path("near.bin")) },
			b: func() command { return w.openSSH(w.node, "ssh", "near", "cat", w.path("near.bin")) }},
	)
	return append(kinds, w.socks(s)...)
}

// farAim is the aim where distance decides.
func farAim(host string) float64 {
	if host == "far" {
		return 1
	}
	return 0
}
