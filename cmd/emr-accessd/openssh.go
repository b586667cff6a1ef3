package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// systemSSH runs the system's ssh with the rule in place and the host key pinned, and passes on its exit status. It is a
// child, so that the rule can be given back at its end.
func (a *app) systemSSH(ctx context.Context, p *prepared, f connectFlags, rest []string) error {
	program, err := exec.LookPath("ssh")
	if err != nil {
		return hinted{errors.New("there is no ssh on this computer"), exitFailed, "install OpenSSH's client, or leave out --openssh"}
	}
	if q, err := sshsession.OpenPrompter(); err == nil {
		p.verified.Verifier.Ask = a.asking(q)
		err = a.pin(ctx, p)
		q.Close()
		if err != nil {
			return err
		}
	} else if err := a.pin(ctx, p); err != nil {
		return err
	}
	args, err := a.sshArguments(ctx, p, f)
	if err != nil {
		return err
	}
	a.status.clear()
	watch := newLinkWatch(a, p, (&visit{app: a, raw: a.onTerminal()}).say)
	watch.blind = true
	defer watch.start(ctx)()
	return a.runChild(exec.Command(program, append(append(args, p.cluster), rest...)...))
}

// sshArguments are the options for ssh: those of the block that `ssh-config` writes, with the address in place of the proxy.
// What the user's own configuration says about the rest holds.
func (a *app) sshArguments(ctx context.Context, p *prepared, f connectFlags) ([]string, error) {
	hosts, err := configWord(a.hostsPath(p.alias()), runtime.GOOS)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(p.verified.Addr)
	if err != nil {
		return nil, err
	}
	options := []string{"HostName=" + host, "Port=" + port, "HostKeyAlias=" + p.alias(), "UserKnownHostsFile=" + hosts, "GlobalKnownHostsFile=" + hosts,
		"StrictHostKeyChecking=yes", "VerifyHostKeyDNS=no", "UpdateHostKeys=no", "CanonicalizeHostname=no", "CheckHostIP=no"}
	if p.options.hostsCommand { // an older ssh does not know the word
		options = append(options, "KnownHostsCommand=none")
	}
	if p.options.jump == "" { // else that is what the user wants ssh for
		options = append(options, "ProxyCommand=none", "ProxyUseFdpass=no")
	}
	if p.options.alive == 0 {
		options = append(options, "ServerAliveInterval=15")
	}
	if p.which != (nodeChoice{}) || p.host != "" {
		// ssh knows all nodes of a cluster by one name here, so a ControlPath with %n would lead to another node.
		options = append(options, "ControlPath=none")
	}
	if from := readDemoSource(); bindable(from) {
		options = append(options, "BindAddress="+from.String())
	}
	login := a.loginTo(ctx, p, f)
	if p.options.user == "" || f.login != "" {
		if !loginName.MatchString(login.User) {
			return nil, hinted{fmt.Errorf("%.40q is no name to log in as", login.User), exitUsage, "give another --login"}
		}
		options = append(options, "User="+login.User)
	}
	var args []string
	for _, o := range options {
		args = append(args, "-o", o)
	}
	files := f.identity
	if wanted := login.WantedFile(); len(files) == 0 && wanted != "" {
		files = []string{wanted}
	}
	for _, file := range files {
		abs, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(abs, "%") {
			args = append(args, "-i", abs)
			continue
		}
		word, err := configWord(abs, runtime.GOOS) // -i takes % for a token, and finds no file with two of them
		if err != nil {
			return nil, err
		}
		args = append(args, "-o", "IdentityFile="+word)
	}
	if f.tty {
		args = append(args, "-t")
	}
	return args, nil
}

// runChild runs a program on this one's own streams until it ends. Signals that are meant for this program are passed on;
// Ctrl-C reaches the child by itself. The terminal is left as it was found, also by a child that was killed.
func (a *app) runChild(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.In, a.Out, a.Err
	if a.onTerminal() {
		defer sshsession.SaveTerminal(a.In)()
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(endings(), os.Interrupt, syscall.SIGQUIT)...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM || s == syscall.SIGHUP {
				_ = cmd.Process.Signal(s) // it may have ended by now
			}
		case err := <-ended:
			status, ok := errors.AsType[*exec.ExitError](err)
			if !ok {
				return err
			}
			if code := status.ExitCode(); code >= 0 {
				return exitStatus(code)
			}
			return exitStatus(signalStatus(status.ProcessState))
		}
	}
}
