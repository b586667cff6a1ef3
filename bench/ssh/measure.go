//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// command is a program to be run, with the relay that it is expected to connect through.
type command struct {
	args  []string
	env   []string
	stdin string // a file, or nothing
	line  *relay
	note  string // file of fakeSSH, or nothing
}

// timing is what was measured of one run.
type timing struct {
	whole   time.Duration // of the process
	connect time.Duration // from its start until it connects, or until the AWS CLI calls ssh
	wire    time.Duration // from there to the end of the connection
}

// clean is an environment in which nothing of the user's own is found.
func (w *world) clean() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=" + motoRegion, "AWS_DEFAULT_REGION=" + motoRegion,
		"AWS_CONFIG_FILE=" + w.path("none"), "AWS_SHARED_CREDENTIALS_FILE=" + w.path("none"), "AWS_EC2_METADATA_DISABLED=true"}
}

// tool is a call of emr-accessd.
func (w *world) tool(config string, aws *relay, args ...string) command {
	return command{args: append([]string{w.binary}, args...), env: append(w.clean(), "AWS_ENDPOINT_URL=http://"+aws.addr(),
		"EMR_ACCESSD_CONFIG="+w.path(config), "EMR_ACCESSD_STATE="+w.path("state"))}
}

// to is a call of emr-accessd that connects to a node.
func (w *world) to(node *relay, verb string, args ...string) command {
	c := w.tool("config.toml", w.aws, append([]string{verb, "-i", w.path("login.pem"), "-l", w.login, "--host", node.addr(), w.moto.cluster}, args...)...)
	c.line = node
	return c
}

// openSSH is a call of ssh, scp or sftp.
func (w *world) openSSH(line *relay, program string, args ...string) command {
	// A ProxyCommand is a call of emr-accessd.
	return command{args: append([]string{program, "-F", w.path("ssh_config")}, args...), env: w.tool("config.toml", w.aws).env, line: line}
}

// awsEMR is a call of `aws emr ssh`. real says whether ssh is called then.
func (w *world) awsEMR(aws *relay, real bool) command {
	env := append(w.clean(), "AWS_ENDPOINT_URL=http://"+aws.addr(), envNote+"="+w.path("note"), envConfig+"="+w.path("ssh_config"), envHost+"=near")
	if real {
		if path, err := exec.LookPath("ssh"); err == nil {
			env = append(env, envReal+"="+path)
		}
	}
	env = append(env, "PATH="+w.path("bin")+string(filepath.ListSeparator)+os.Getenv("PATH")) // the last one counts
	return command{args: []string{w.opt.aws, "emr", "ssh", "--cluster-id", w.moto.cluster, "--key-pair-file", w.path("login.pem"), "--command", "true"},
		env: env, note: w.path("note")}
}

// exec runs a command.
func (w *world) exec(ctx context.Context, c command) (timing, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env, cmd.Dir = c.env, w.dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if c.stdin != "" {
		f, err := os.Open(c.stdin)
		if err != nil {
			return timing{}, err
		}
		defer f.Close()
		cmd.Stdin = f
	}
	if out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil { // a file: with a pipe, we would be in the way
		defer out.Close()
		cmd.Stdout = out
	}
	if c.line != nil {
		c.line.forget()
	}
	begun := time.Now()
	err := cmd.Run()
	t := timing{whole: time.Since(begun)}
	if err != nil {
		return t, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, errs.String())
	}
	if c.note != "" {
		text, err := os.ReadFile(c.note)
		if err != nil {
			return t, err
		}
		ns, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return t, err
		}
		t.connect = time.Unix(0, ns).Sub(begun)
	}
	if c.line != nil {
		waiting, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		l := c.line.first(waiting)
		if l == nil {
			return t, errors.New("no connection has come and gone")
		}
		t.connect, t.wire = l.began.Sub(begun), l.ended.Sub(l.began)
	}
	return t, nil
}

// kind is something that both sides do.
type kind struct {
	name  string
	other string // what is beside emr-accessd
	aim   float64
	bytes int64 // copied, or 0
	of    func(timing) time.Duration
	a, b  func() command
	reset func() error // before each of both
}

// measure runs pairs, one after the other, and changes which of both is first. A run before them is not counted: it fills caches.
func (w *world) measure(ctx context.Context, k kind, n int) (row, error) {
	r := row{Name: k.name, Other: k.other, Aim: k.aim, Bytes: k.bytes}
	once := func(make func() command) (float64, error) {
		if k.reset != nil {
			if err := k.reset(); err != nil {
				return 0, err
			}
		}
		t, err := w.exec(ctx, make())
		return k.of(t).Seconds(), err
	}
	for i := -1; i < n; i++ {
		var p pair
		var errA, errB error
		if i%2 == 0 {
			p.Ours, errA = once(k.a)
			p.Other, errB = once(k.b)
		} else {
			p.Other, errB = once(k.b)
			p.Ours, errA = once(k.a)
		}
		if err := errors.Join(errA, errB); err != nil {
			return r, err
		}
		if i >= 0 {
			r.Pairs = append(r.Pairs, p)
		} else if w.opt.short {
			r.Pairs = append(r.Pairs, p)
			break
		}
	}
	return r.done(), nil
}
