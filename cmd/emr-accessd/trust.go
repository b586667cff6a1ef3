package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
)

// trustAnswer is what trust prints.
type trustAnswer struct {
	Cluster     string `json:"cluster"`
	Instance    string `json:"instance"`
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`
}

func (a *app) trustCommand() *cobra.Command {
	var f stay
	cmd := &cobra.Command{
		Use:   "trust [flags] CLUSTER SHA256:…",
		Short: "accept the host key with this fingerprint, for use without a terminal",
		Long: `Records that the host key of the cluster's primary node is the one with this
fingerprint, which you know from somebody who can see it on the node
(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub). It asks the node for its keys and
stores the one that fits; no other is ever accepted. A key that is known already, or
that EC2's console tells, is not overruled.`,
		Example: `  emr-accessd trust j-2AXXXXXXGAPLF SHA256:jX4nNgXPmQXVhUQ1o9Ge4v1jB0bq3uXK3bTTxk4p0FQ`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := sshsession.ParseFingerprint(args[1])
			if err != nil {
				return usageError{err, cmd.CommandPath()}
			}
			if err := a.load(); err != nil {
				return err
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			return a.trust(cmd.Context(), args[0], want, f)
		},
	}
	f.register(cmd)
	return cmd
}

func (a *app) trust(ctx context.Context, arg, fingerprint string, f stay) error {
	p, err := a.prepare(ctx, arg, f.forSSH())
	if err != nil {
		return err
	}
	defer p.end()
	if err := p.pinnable(); err != nil {
		return err
	}
	var key sshsession.Fingerprint
	err = a.settled(ctx, p, func() (err error) {
		key, err = sshsession.Trust(ctx, p.verified, fingerprint)
		return err
	})
	if _, ok := errors.AsType[*sshsession.NotShownError](err); ok {
		return hinted{err, exitFailed, "ask for the fingerprint again; if it is right, somebody else answers at this address: do not connect"}
	}
	if err != nil {
		return err
	}
	if err := a.export(p); err != nil {
		return err
	}
	answer := trustAnswer{p.cluster, p.verified.Verifier.Instance, key.Type, key.SHA256}
	return a.print(answer, func(w io.Writer) {
		fmt.Fprintf(w, "%s (%s): the host key is %s\n", answer.Cluster, answer.Instance, key)
	})
}

// trustLine is the command that accepts a host key, with the flags that lead to the same cluster.
func (a *app) trustLine(p *prepared, fingerprint string) string {
	words := append([]string{"emr-accessd", "trust"}, a.flags.given()...)
	if p.which != (nodeChoice{}) {
		words = append(words, "--node="+p.which.String())
	}
	if p.host != "" {
		words = append(words, "--host="+p.host)
	}
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return strings.Join(append(words, p.cluster, fingerprint), " ")
}
