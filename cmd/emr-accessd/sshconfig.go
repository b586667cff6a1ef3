package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// sshConfigFlags are the flags of ssh-config alone.
type sshConfigFlags struct {
	identity []string
	login    string
	node     string
	file     string
	write    bool
}

// sshConfigAnswer is what ssh-config prints.
type sshConfigAnswer struct {
	Hosts    []sshConfigHost `json:"hosts"`
	File     string          `json:"file"`     // empty without --write
	Changed  bool            `json:"changed"`  // the file was written
	Include  string          `json:"include"`  // the line that ~/.ssh/config needs
	Included bool            `json:"included"` // it has the line
}

type sshConfigHost struct {
	Cluster      string `json:"cluster"`
	HostKeyAlias string `json:"host_key_alias"`
	KnownHosts   string `json:"known_hosts"`
	Block        string `json:"block"`
}

func (a *app) sshConfigCommand() *cobra.Command {
	var f sshConfigFlags
	cmd := &cobra.Command{
		Use:   "ssh-config [flags] [CLUSTER…]",
		Short: "print what makes ssh, scp, rsync and editors connect through emr-accessd",
		Long: `Prints one block of ssh configuration for each cluster: ` + "`ssh j-…`" + ` then works, with the
rule ensured and the host key verified, and so does all that uses ssh. Without
arguments it does so for the clusters of the configuration.

--write keeps the blocks in a file of its own in ~/.ssh, and says which line to add to
~/.ssh/config, which it never changes. With arguments it adds clusters to that file;
without, the file is made anew.`,
		Example: `  emr-accessd ssh-config --write -i ~/.ssh/team.pem j-2AXXXXXXGAPLF
  rsync -a data/ j-2AXXXXXXGAPLF:data/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(); err != nil {
				return err
			}
			if f.file != "" && !f.write {
				return usageError{errors.New("--file names the file of --write, which is missing"), cmd.CommandPath()}
			}
			return a.sshConfig(cmd.Context(), args, f)
		},
	}
	cmd.Flags().StringArrayVarP(&f.identity, "identity", "i", nil, "private key `file` to log in with (default: the file in ~/.ssh that holds the cluster's key pair)")
	cmd.Flags().StringVarP(&f.login, "login", "l", defaultLogin, "user to log in as")
	cmd.Flags().StringVar(&f.node, "node", "", "write about this `node`, such as core:0, as the host j-…-core-0 (default: the primary node)")
	cmd.Flags().BoolVar(&f.write, "write", false, "keep the blocks in a file in ~/.ssh")
	cmd.Flags().StringVar(&f.file, "file", "", "`file` to keep the blocks in (default: ~/.ssh/"+includeName+")")
	return cmd
}

func (a *app) sshConfig(ctx context.Context, args []string, f sshConfigFlags) error {
	hosts, err := a.sshHosts(ctx, args, f)
	if err != nil {
		return err
	}
	if len(hosts) == 0 {
		return hinted{errors.New("there is no cluster to write about"), exitUsage, "name one: emr-accessd ssh-config j-…"}
	}
	answer := sshConfigAnswer{Include: "Include " + includeName}
	var blocks []includeBlock
	for _, h := range hosts {
		text, err := h.render()
		if err != nil {
			return err
		}
		blocks = append(blocks, includeBlock{h.name(), text})
		answer.Hosts = append(answer.Hosts, sshConfigHost{h.Cluster, hostAlias(h.name()), h.KnownHosts, text})
	}
	if os.Getenv(config.EnvState) != "" {
		fmt.Fprintf(a.Err, "emr-accessd: warning: %s is set: ssh must be run with it too, or it finds no host key\n", config.EnvState)
	}
	if !f.write {
		return a.print(answer, func(w io.Writer) {
			for i, b := range blocks {
				if i > 0 {
					fmt.Fprintln(w)
				}
				fmt.Fprint(w, b.text)
			}
		})
	}
	if err := a.oneWriter(ctx, func() error { return answer.write(f.file, blocks, len(args) > 0) }); err != nil {
		return err
	}
	return a.print(answer, func(w io.Writer) {
		state := "is up to date"
		if answer.Changed {
			state = "is written"
		}
		fmt.Fprintf(w, "%s %s\n", printable(answer.File), state)
		if !answer.Included {
			fmt.Fprintf(w, "add this line at the top of ~/.ssh/config: %s\n", printable(answer.Include))
		}
	})
}

// write brings the file up to date, and looks whether the user's configuration includes it.
func (answer *sshConfigAnswer) write(file string, blocks []includeBlock, keep bool) error {
	folder := sshFolder()
	if file == "" {
		if folder == "" {
			return hinted{errors.New("your home folder is not known"), exitFailed, "name a file with --file"}
		}
		file = filepath.Join(folder, includeName)
	} else {
		abs, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		word, err := configWord(abs, runtime.GOOS)
		if err != nil {
			return err
		}
		file, answer.Include = abs, "Include "+word
	}
	changed, err := writeInclude(file, blocks, keep)
	if err != nil {
		return err
	}
	answer.File, answer.Changed = file, changed
	if text, err := os.ReadFile(filepath.Join(folder, "config")); err == nil && folder != "" {
		answer.Included = includes(string(text), file)
	}
	return nil
}

// sshHosts finds the clusters and how proxy is to be called for each.
func (a *app) sshHosts(ctx context.Context, args []string, f sshConfigFlags) ([]sshHost, error) {
	if err := stateKnown(); err != nil { // it has the host keys
		return nil, err
	}
	program, err := stableExecutable()
	if err != nil {
		return nil, err
	}
	var identity []string
	for _, file := range f.identity {
		abs, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		identity = append(identity, abs)
	}
	for i, arg := range args {
		args[i] = a.clusterArg(arg)
	}
	targets, err := a.choose(ctx, args, afterSession, minLease)
	if len(args) == 0 && err == nil {
		targets, err = a.targets()
	}
	if err != nil {
		return nil, err
	}
	given, err := a.proxyFlags()
	if err != nil {
		return nil, err
	}
	which, err := parseNode(f.node)
	if err != nil {
		return nil, err
	}
	lookup, cancel := context.WithTimeout(ctx, keyLookup)
	defer cancel()
	var hosts []sshHost
	for _, t := range targets {
		ids := []string{t.Cluster}
		switch {
		case t.SecurityGroup != "" && len(args) > 0:
			return nil, hinted{fmt.Errorf("%s is a security group, and has no host to connect to", t.Label), exitUsage, "name a cluster (j-…)"}
		case t.SecurityGroup != "":
			continue
		case t.Cluster == "":
			if ids, err = a.clustersOf(ctx, t); err != nil {
				return nil, err
			}
		}
		flags := slices.Clone(given)
		if t.Cluster == "" || !t.Until.IsZero() { // proxy does not find it in the configuration
			flags = withTarget(given, t)
		}
		if f.node != "" {
			flags = append(flags, "--node="+f.node)
		}
		for _, id := range ids {
			hosts = append(hosts, sshHost{Cluster: id, Suffix: which.suffix(), Login: f.login, Program: program, Flags: flags, System: runtime.GOOS,
				KnownHosts: a.hostsPath(hostAlias(id) + which.suffix()), Identity: a.identities(lookup, identity, t, id)})
		}
	}
	slices.SortStableFunc(hosts, func(x, y sshHost) int { return strings.Compare(x.Cluster, y.Cluster) })
	return slices.CompactFunc(hosts, func(x, y sshHost) bool { return x.Cluster == y.Cluster }), nil
}

// clustersOf are the active clusters that a name pattern or tags select now.
func (a *app) clustersOf(ctx context.Context, t keeper.Target) ([]string, error) {
	c, err := a.open(ctx, t.Profile, t.Region)
	if err != nil {
		return nil, err
	}
	place, err := c.Resolve(ctx, t, keeper.Before{})
	if err != nil {
		return nil, err
	}
	return place.Clusters, nil
}

// proxyFlags are the flags that proxy needs as well: those of this command line, and the configuration's file.
func (a *app) proxyFlags() ([]string, error) {
	given := a.flags.given()
	path := a.flags.config
	if path == "" {
		path = os.Getenv(config.EnvConfig)
	}
	if path == "" {
		return given, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	given = slices.DeleteFunc(given, func(f string) bool { return strings.HasPrefix(f, "--config=") })
	return append([]string{"--config=" + abs}, given...), nil
}

// given are the flags of the command line that all commands share, but for those about the output.
func (f *flags) given() (out []string) {
	f.set.VisitAll(func(fl *pflag.Flag) {
		if !fl.Changed || fl.Name == "json" || fl.Name == "verbose" {
			return
		}
		switch v := fl.Value.(type) {
		case pflag.SliceValue:
			if len(v.GetSlice()) == 0 {
				out = append(out, "--"+fl.Name+"=")
			}
			for _, one := range v.GetSlice() {
				out = append(out, "--"+fl.Name+"="+one)
			}
		default:
			if fl.Name == "rule-tag" {
				for _, k := range slices.Sorted(maps.Keys(f.tags)) {
					out = append(out, "--rule-tag="+k+"="+f.tags[k])
				}
				return
			}
			value := fl.Value.String()
			if abs, err := filepath.Abs(value); err == nil && value != "" && (fl.Name == "config" || fl.Name == "source-ca") {
				value = abs // ssh runs proxy in whatever folder it is in
			}
			out = append(out, "--"+fl.Name+"="+value)
		}
	})
	return out
}

// withTarget adds the flags that say what a target's keys say, as far as the command line did not.
func withTarget(given []string, t keeper.Target) []string {
	flags := slices.Clone(given)
	add := func(name, value string) {
		if value != "" && !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--"+name+"=") }) {
			flags = append(flags, "--"+name+"="+value)
		}
	}
	add("profile", t.Profile)
	add("region", t.Region)
	add("account", t.Account)
	if t.Local {
		add("address", config.AddressLocal)
	}
	if t.Group == "additional" {
		add("group", t.Group)
	}
	if t.Port != config.DefaultTarget().Port {
		add("port", strconv.Itoa(t.Port))
	}
	return flags
}
