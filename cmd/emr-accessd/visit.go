package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// visit is a stay on a node: a shell or a command, from the login to its end, over one connection or with --reconnect over several.
type visit struct {
	*app
	p           *prepared
	f           connectFlags
	command     string // empty for a login shell
	interactive bool   // there is a terminal on both sides
	watch       *linkWatch
	brief       int // so many connections in a row were lost at once

	mu  sync.Mutex
	raw bool // the terminal passes every key on: a line ends with a carriage return too
}

func (v *visit) run(ctx context.Context) error {
	v.shell = &sshsession.Terminal{In: v.In, Out: v.Out, Err: v.Err, Term: os.Getenv("TERM"), Command: v.command}
	v.watch = newLinkWatch(v.app, v.p, v.say)
	v.watch.cut = v.f.reconnect
	defer v.watch.start(context.WithoutCancel(ctx))() // Ctrl-C may be the remote command's
	client, err := v.dial(ctx, v.p, v.f)
	for {
		if err != nil {
			return err
		}
		begin := time.Now()
		err = v.use(ctx, client)
		client.Close()
		if !v.f.reconnect || !errors.Is(err, sshsession.ErrLostLink) {
			return err
		}
		if v.brief++; time.Since(begin) >= sshsession.Steady {
			v.brief = 0
		}
		client, err = v.comeBack(ctx, err)
	}
}

// use runs the command or the shell, and compares what the server saw of us with what was authorized.
func (v *visit) use(ctx context.Context, c *sshsession.Client) error {
	seen := make(chan netip.Addr, 1)
	go func() {
		vctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		addr, _ := c.ViewBeside(vctx)
		seen <- addr
	}()
	v.watch.follow(c, v.p.report)
	var status int
	var err error
	if v.interactive {
		v.setRaw(true)
		status, err = c.Shell(ctx, v.shell)
		v.setRaw(false)
	} else {
		signals := make(chan os.Signal, 4)
		signal.Notify(signals, os.Interrupt)
		defer signal.Stop(signals)
		ectx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		defer cancel(nil)
		go endOn(ectx, cancel)
		status, err = c.Exec(ectx, v.command, v.In, v.Out, v.Err, signals)
	}
	v.watch.follow(nil, v.p.report)
	select {
	case addr := <-seen:
		v.compareView(v.p.report, addr)
	default: // the session was shorter than the question
	}
	switch {
	case errors.Is(err, sshsession.ErrInterrupted) && status != sshsession.ExitFailed:
		return exitStatus(status) // by the user, who knows
	case readerGone(err):
		return exitStatus(128 + int(syscall.SIGPIPE)) // it has had enough, and this is how other programs end then
	case err != nil:
		return err
	case status != 0:
		return exitStatus(status)
	}
	return nil
}

// readerGone tells the error of a write to a pipe of this computer that nobody reads any more; a connection that broke is another.
func readerGone(err error) bool {
	_, file := errors.AsType[*fs.PathError](err)
	return file && errors.Is(err, syscall.EPIPE)
}

func (v *visit) setRaw(raw bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.raw = raw
}

// say tells something under a session, on a line of its own.
func (v *visit) say(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := "emr-accessd: " + printable(fmt.Sprintf(format, args...))
	if v.raw {
		text = "\r\n\x1b[K" + text + "\r"
	}
	fmt.Fprintf(v.Err, "%s\n", text)
}

// comeBackSteps are the pauses between tries to come back, the last one for all further ones; an event of the network ends a pause.
// The first try is at once, since most of the time the network is there again already; but not when connections are lost one after the
// other as soon as they stand.
var comeBackSteps = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second}

// comeBack connects anew after the link was lost, for as long as it takes, until the user interrupts it or something
// is wrong that time does not mend.
func (v *visit) comeBack(ctx context.Context, lost error) (*sshsession.Client, error) {
	v.say("%v", lost)
	v.say("connecting again; Ctrl-C gives up")
	v.p.again = true
	begin, told := time.Now(), ""
	if v.brief > 1 {
		v.pause(ctx, v.brief-2, begin)
	}
	for i := 0; ; i++ {
		v.watch.calm()
		err := v.bring(ctx, v.p)
		var client *sshsession.Client
		_, aws := awsclient.KindOf(err)
		switch {
		case err == nil:
			client, err = v.dial(ctx, v.p, v.f)
		case (aws || errors.Is(err, keeper.ErrPaused)) && ctx.Err() == nil: // it cannot or may not be asked; the rule of the last time may admit us all the same
			last := *v.p
			last.report.Applied = false // what it changed acts by now
			if c, derr := v.dial(ctx, &last, v.f); derr == nil {
				client, err = c, nil
			}
		}
		v.status.clear()
		switch {
		case err == nil:
			v.shell.Forget()
			v.say("connected again after %v, in a new session; what ran in the old one may be gone (tmux or screen on the node keep it)", time.Since(begin).Round(time.Second))
			return client, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("gave up to connect again: %w", context.Cause(ctx))
		case !passing(err):
			return nil, err
		}
		if text := err.Error(); text != told {
			told = text
			v.say("not yet: %s", text)
		}
		v.pause(ctx, i, begin)
	}
}

// pause waits between two tries to come back.
func (v *visit) pause(ctx context.Context, step int, begin time.Time) {
	v.status.say(fmt.Sprintf("waiting for the network, for %v", time.Since(begin).Round(time.Second)))
	defer v.status.clear()
	select {
	case <-ctx.Done():
	case <-time.After(comeBackSteps[min(step, len(comeBackSteps)-1)]):
	case <-v.watch.news:
	}
}

// passing tells failures to connect that time may mend.
func passing(err error) bool {
	_, dial := errors.AsType[*sshsession.DialError](err)
	kind, _ := awsclient.KindOf(err)
	return dial || transient(err) || kind == awsclient.Canceled || errors.Is(err, sshsession.ErrHandshake) || errors.Is(err, sshsession.ErrLostLink) || errors.Is(err, keeper.ErrPaused)
}

// endOn ends a command when this program is told to end. Ctrl-C is not among the reasons: it is passed on to
// the remote command, and only a second one ends the session.
func endOn(ctx context.Context, cancel context.CancelCauseFunc) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, endings()...)
	defer signal.Stop(told)
	select {
	case <-ctx.Done():
	case s := <-told:
		cancel(signalled{s})
	}
}

// signalled is the reason of an end, as [signal.NotifyContext] has it.
type signalled struct{ os.Signal }

func (s signalled) Error() string        { return s.String() + " signal received" }
func (s signalled) Is(target error) bool { return target == context.Canceled }

// compareView warns when the server sees us under another address than the authorized one: then another
// rule let us in, and ours lets in somebody else.
func (a *app) compareView(rep keeper.Report, seen netip.Addr) {
	if !seen.IsValid() || !known(rep) {
		return
	}
	for _, v := range rep.Targets[0].Verdicts {
		if authorized, err := netip.ParseAddr(v.Address); err == nil && authorized == seen.Unmap() {
			return
		}
	}
	fmt.Fprintf(a.Err, "emr-accessd: warning: the node sees you as %s, which is not the address that was authorized; another rule let you in\n", seen)
}
