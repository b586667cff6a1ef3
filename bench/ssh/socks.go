//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// socks compares SOCKS proxies, where this emr-accessd has one: a download by curl through each, from a web server here.
func (w *world) socks(s sizes) []kind {
	// The help of an unknown command is the program's own, with exit code 0.
	if help, err := exec.Command(w.binary, "tunnel", "--help").Output(); err != nil || !strings.Contains(string(help), "emr-accessd tunnel [flags]") {
		w.skipped = append(w.skipped, "SOCKS: this emr-accessd has no command tunnel")
		return nil
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		w.skipped = append(w.skipped, "SOCKS: curl is not here")
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.skipped = append(w.skipped, "SOCKS: "+err.Error())
		return nil
	}
	web := &http.Server{Handler: http.FileServer(http.Dir(w.dir)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(l) }()
	w.closers = append(w.closers, func() { web.Close() })
	var ports [2]string
	for i, c := range []func(port string) command{
		func(port string) command { return w.to(w.node, "tunnel", "-D", port) },
		func(port string) command { return w.openSSH(w.node, "ssh", "-N", "-D", "127.0.0.1:"+port, "near") },
	} {
		if ports[i], err = w.startProxy(c); err != nil {
			w.skipped = append(w.skipped, "SOCKS: "+err.Error())
			return nil
		}
	}
	through := func(port string) func() command {
		return func() command {
			return command{args: []string{curl, "-sf", "--socks5-hostname", "127.0.0.1:" + port, "-o", "/dev/null", "http://" + l.Addr().String() + "/near.bin"}, env: w.clean()}
		}
	}
	return []kind{{name: "SOCKS, download by curl", other: "ssh -D", of: whole, bytes: s.near, a: through(ports[0]), b: through(ports[1])}}
}

// startProxy starts a program that listens on a port, and waits until it does.
func (w *world) startProxy(make func(port string) command) (port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	c := make(port)
	cmd := exec.CommandContext(context.Background(), c.args[0], c.args[1:]...)
	cmd.Env, cmd.Dir = c.env, w.dir
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w.closers = append(w.closers, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			return port, nil
		}
	}
	return "", fmt.Errorf("%s does not listen", c.args[0])
}
