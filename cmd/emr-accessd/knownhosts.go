package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/spf13/cobra"
)

// knownHostsAnswer is what known-hosts prints.
type knownHostsAnswer struct {
	Cluster  string      `json:"cluster"`
	Instance string      `json:"instance"`
	File     string      `json:"file"`
	Keys     []pinnedKey `json:"keys"`
}

// pinnedKey is one host key that is known.
type pinnedKey struct {
	Type        string     `json:"type"`
	Fingerprint string     `json:"fingerprint"`
	Origin      string     `json:"origin"`
	Added       *time.Time `json:"added"`
}

func (a *app) knownHostsCommand() *cobra.Command {
	var node string
	cmd := &cobra.Command{
		Use:   "known-hosts CLUSTER",
		Short: "print the pinned host keys of a cluster, as lines of known_hosts",
		Long: `Prints the host keys that ` + "`proxy` or `trust`" + ` pinned for a cluster's primary node, under the
cluster's id in lower case; with --node those of that node, as j-…-core-0. It asks
nobody, so it can also serve as ssh's KnownHostsCommand (with HostKeyAlias set to that name).`,
		Example: `  emr-accessd known-hosts --node core:0 j-2AXXXXXXGAPLF
  KnownHostsCommand /usr/bin/emr-accessd known-hosts j-2AXXXXXXGAPLF`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !clusterID.MatchString(args[0]) {
				return usageError{fmt.Errorf("%.40q is no cluster id", args[0]), cmd.CommandPath()}
			}
			which, err := parseNode(node)
			if err != nil {
				return err
			}
			return a.knownHosts(a.clusterArg(args[0]), which)
		},
	}
	registerNode(cmd, &node)
	return cmd
}

func (a *app) knownHosts(cluster string, which nodeChoice) error {
	if err := stateKnown(); err != nil {
		return err
	}
	store, err := sshsession.OpenStore(a.statePath("known_hosts"))
	if err != nil {
		return err
	}
	name := cluster + which.suffix() // for ssh
	file := a.hostsPath(hostAlias(name))
	instance, err := sshsession.Exported(file)
	if err != nil {
		return err
	}
	if instance == "" {
		of := cluster
		if node := which.String(); node != "" {
			of = node + " of " + cluster
		}
		return hinted{fmt.Errorf("no host key is pinned for %s", of), exitFailed, "`ssh " + name + "` through `emr-accessd ssh-config" + which.flag() + "` pins it, and so does `emr-accessd trust" + which.flag() + "`; what `connect` has verified is kept apart, by instance"}
	}
	lines, err := store.KnownHosts(instance, hostAlias(name))
	if errors.Is(err, sshsession.ErrUnverified) {
		return hinted{fmt.Errorf("the host key of %s (%s) was forgotten", cluster, instance), exitFailed, "the next connection verifies it anew"}
	}
	if err != nil {
		return err
	}
	pins, err := store.Keys(instance)
	if err != nil {
		return err
	}
	answer := knownHostsAnswer{Cluster: cluster, Instance: instance, File: file}
	for _, p := range pins {
		key := pinnedKey{Type: p.Fingerprint().Type, Fingerprint: p.Fingerprint().SHA256, Origin: string(p.Origin)}
		if !p.Added.IsZero() {
			key.Added = &p.Added
		}
		answer.Keys = append(answer.Keys, key)
	}
	return a.print(answer, func(w io.Writer) { fmt.Fprint(w, lines) })
}
