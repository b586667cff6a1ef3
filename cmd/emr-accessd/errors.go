package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/daemonlog"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
)

// Exit codes, as docs/design.md promises them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitFindings    = 3
	exitCredentials = 4
	exitAddress     = 5
)

// errConfig marks what only a change of the configuration mends.
var errConfig = errors.New("configuration")

// usageError is a wrong command line.
type usageError struct {
	err     error
	command string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// hinted is an error that knows its exit code and what to do about it.
type hinted struct {
	error
	code int
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// exitStatus ends the program with a status and no message: the message was the answer, or the remote's own.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// exit prints an error with its hints and returns the exit code.
func (a *app) exit(cmd *cobra.Command, err error) int {
	a.status.clear()
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	if cmd != nil && cmd.Name() == "connect" && !commandLine(err) {
		code = sshsession.ExitFailed
	}
	if cmd != nil && cmd.Name() == "run" && code == exitUsage {
		code = a.startedBy.mistake()
	}
	if cmd != nil && isCobraUsage(err) {
		err = usageError{plainArguments(cmd, err), cmd.CommandPath()}
	}
	a.tell(err)
	if u, ok := errors.AsType[usageError](err); ok && u.command != "" {
		fmt.Fprintf(a.Err, "emr-accessd: hint: see `%s --help`\n", u.command)
	}
	return code
}

// tell prints an error with its hints.
func (a *app) tell(err error) {
	mark := ""
	if f, ok := a.Err.(*os.File); ok && daemonlog.ToJournal(f) {
		mark = daemonlog.Error
	}
	for _, line := range strings.Split(message(err), "\n") {
		fmt.Fprintf(a.Err, "%semr-accessd: error: %s\n", mark, printable(line))
	}
	for _, h := range hints(err) {
		fmt.Fprintf(a.Err, "emr-accessd: hint: %s\n", printable(h))
	}
}

// commandLine reports whether the command line or the configuration is wrong, before anything was tried.
// `connect` tells that by exit code 2, and all else of its own by 255: other codes are the remote command's.
func commandLine(err error) bool {
	_, usage := errors.AsType[usageError](err)
	_, file := errors.AsType[config.Errors](err)
	return usage || file || isCobraUsage(err)
}

// message is an error's text without the marks that only this program reads.
func message(err error) string {
	return strings.TrimPrefix(err.Error(), errConfig.Error()+": ")
}

// exitCode is decided by the kind of an error, never by its text.
func exitCode(err error) int {
	if h, ok := errors.AsType[hinted](err); ok && h.code != 0 {
		return h.code
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[config.Errors](err); ok || errors.Is(err, errConfig) {
		return exitUsage
	}
	if _, ok := errors.AsType[*keeper.AccountError](err); ok || errors.Is(err, keeper.ErrUnstable) || errors.Is(err, keeper.ErrNothing) || errors.Is(err, errNoAdditional) {
		return exitUsage
	}
	if isCobraUsage(err) {
		return exitUsage
	}
	switch kind, _ := awsclient.KindOf(err); kind {
	case awsclient.Credentials:
		return exitCredentials
	case awsclient.BadRequest, awsclient.NotFound:
		return exitUsage
	}
	return exitFailed
}

// isCobraUsage recognises cobra's own complaints, which have no type.
func isCobraUsage(err error) bool {
	for _, p := range []string{"unknown command", "accepts ", "requires at least", "unknown flag", "unknown shorthand"} {
		if strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

// hints says what the user can do: one table for the whole program.
func hints(err error) (out []string) {
	if h, ok := errors.AsType[hinted](err); ok && h.hint != "" {
		out = append(out, h.hint)
	}
	if es, ok := errors.AsType[config.Errors](err); ok {
		for _, e := range es {
			if e.Hint != "" {
				out = append(out, e.Hint)
			}
		}
	}
	if e, ok := errors.AsType[*awsclient.Error](err); ok && e.Hint != "" {
		out = append(out, e.Hint)
	}
	if e, ok := errors.AsType[*sshsession.MismatchError](err); ok {
		out = append(out, e.Hint())
	}
	for _, h := range []struct {
		err  error
		hint string
	}{
		{keeper.ErrNothing, "name a cluster (`emr-accessd clusters` shows yours), or let `emr-accessd init` write a configuration"},
		{keeper.ErrUnstable, "set role_session_name in the profile of ~/.aws/config, for example to your user name"},
		{keeper.ErrPrivate, `if you reach it through a VPN or Direct Connect, use --address local (address = "local" in the target); if not, AWS Systems Manager or an EC2 Instance Connect Endpoint gets you in without any rule`},
		{keeper.ErrEnded, "name a running cluster; `emr-accessd clusters` shows them"},
		{keeper.ErrPaused, "`emr-accessd resume` ends the pause"},
		{keeper.ErrRevoked, "`emr-accessd connect` brings it back, and `emr-accessd sync`"},
		{keeper.ErrRunning, "`emr-accessd status` shows what it does; `emr-accessd stop` ends the service"},
		{sgsync.ErrQuota, "ask for more rules per security group (VPC quota L-0EA8095F), or remove rules that nobody uses"},
		{sgsync.ErrNotPublic, "nothing was removed; run it again to see what is there now"},
		{errNoAdditional, `use --group managed, or choose the group when the next cluster is made`},
		{sshsession.ErrUnverified, "compare the fingerprint with the one on the node (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and connect from a terminal to accept it"},
		{sshsession.ErrContradiction, "something on the instance writes host keys that are not its own to the console: do not connect, and have it looked at"},
		{context.Canceled, "interrupted: what was done stays done, the next round repairs the rest"},
	} {
		if errors.Is(err, h.err) {
			out = append(out, h.hint)
		}
	}
	return out
}

// The kinds of failures that docs/json.md names.
const (
	kindCredentials   = "credentials"   // sign in again
	kindPermission    = "permission"    // ask for it
	kindQuota         = "quota"         // the group is full
	kindConfiguration = "configuration" // the configuration or an account does not fit
	kindEnded         = "ended"         // the cluster is terminated
	kindOffline       = "offline"       // no answer from AWS
	kindOther         = "other"
)

// explain is [keeper.Keeper.Explain].
func explain(err error) (kind, hint string) {
	aws, _ := awsclient.KindOf(err)
	switch {
	case errors.Is(err, keeper.ErrEnded):
		kind = kindEnded
	case errors.Is(err, sgsync.ErrQuota):
		kind = kindQuota
	case exitCode(err) == exitCredentials:
		kind = kindCredentials
	case aws == awsclient.Denied:
		kind = kindPermission
	case exitCode(err) == exitUsage || errors.Is(err, keeper.ErrPrivate) || aws == awsclient.Account:
		kind = kindConfiguration
	case aws == awsclient.Offline:
		kind = kindOffline
	default:
		kind = kindOther
	}
	return kind, firstHint(err)
}

// printable makes foreign text safe for a terminal: one line, no control or bidirectional characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return '·'
		}
		return r
	}, s)
}
