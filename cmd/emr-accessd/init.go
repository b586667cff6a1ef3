package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/iampolicy"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (a *app) initCommand() *cobra.Command {
	var show, byName bool
	cmd := &cobra.Command{
		Use:   "init [CLUSTER]",
		Short: "write a first configuration for a cluster that you pick",
		Long: `Writes a configuration with one target: the cluster that you name or pick from the
list, with its account, region and profile. A configuration that is there is never
overwritten. At the end it says which permissions you lack, with the policy to ask
for, and offers to install the service.`,
		Example: `  emr-accessd init
  emr-accessd init --profile work --region eu-west-1 j-2AXXXXXXGAPLF
  emr-accessd init --by-name nightly-etl   # also tomorrow's cluster of this name`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.init(cmd.Context(), args, show, byName)
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the configuration, write nothing")
	cmd.Flags().BoolVar(&byName, "by-name", false, "follow the cluster's name rather than this one cluster")
	return cmd
}

func (a *app) init(ctx context.Context, args []string, show, byName bool) error {
	a.cfg = config.Default()
	path := a.flags.config
	if path == "" {
		var err error
		if path, err = config.DefaultPath(); err != nil {
			return fmt.Errorf("%w: %w", errConfig, err)
		}
	}
	if _, err := os.Lstat(path); !show && !errors.Is(err, fs.ErrNotExist) {
		return errExists(path)
	}
	a.status = newProgress(a.Err)
	row, profile, err := a.pick(ctx, args)
	if err != nil {
		return a.policyHint(err)
	}
	text, err := a.firstConfig(row, profile, byName)
	if err != nil {
		return err
	}
	a.status.clear()
	if show {
		_, err := fmt.Fprint(a.Out, text)
		return err
	}
	if err := writeNew(path, text); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s follows %s %s now.\n", path, row.ID, printable(row.Name))
	ready := a.lacking(ctx, row, profile)
	if ready && a.terminal() && os.Geteuid() != 0 { // a service of root would have root's AWS profile
		yes, err := a.ask(ctx, "Install the service that keeps your address authorized?")
		if err != nil {
			return err
		}
		if yes {
			install := a.installCommand()
			install.SetContext(ctx)
			return install.RunE(install, nil)
		}
	}
	fmt.Fprintf(a.Out, "Next: `emr-accessd sync --dry-run` shows what would be changed, `emr-accessd install` keeps it so.\n")
	return nil
}

// policyHint adds for whoever may not even look what to ask for.
func (a *app) policyHint(err error) error {
	if kind, ok := awsclient.KindOf(err); ok && kind == awsclient.Denied {
		return hinted{err, exitCode(err), "`emr-accessd policy --offline --with clusters,connect > policy.json` writes the policy to ask for; then run this again"}
	}
	return err
}

func errExists(path string) error {
	return hinted{fmt.Errorf("%s exists already; it is not overwritten", path), exitUsage,
		"`emr-accessd init --print` prints a [[target]] to add to it, `emr-accessd clusters` shows what there is"}
}

// pick settles the cluster: by argument, or by asking.
func (a *app) pick(ctx context.Context, args []string) (row clusterRow, profile string, err error) {
	profile, region, err := awsclient.Defaults(ctx, awsclient.Options{Profile: a.flags.profile, Region: a.flags.region})
	if err != nil {
		return row, "", err
	}
	place := keeper.Target{Profile: profile, Region: region, Account: a.flags.account}
	if len(args) == 1 {
		id := args[0]
		if !clusterID.MatchString(id) {
			a.flags.profile, a.flags.region = profile, region
			if id, err = a.byName(ctx, id); err != nil {
				return row, "", err
			}
		}
		opened, err := a.open(ctx, profile, region)
		if err != nil {
			return row, "", err
		}
		who := opened.Identity()
		if place.Account != "" && place.Account != who.Account {
			return row, "", &keeper.AccountError{Want: place.Account, Have: who.Account}
		}
		row = clusterRow{ID: id, Region: who.Region, Account: who.Account, Nodes: map[string]int{}, Reach: reachUnknown}
		if err := look(ctx, a.client(place), &row); err != nil {
			return row, "", err
		}
		if strings.HasPrefix(row.State, "TERMINAT") {
			return row, "", keeper.ErrEnded
		}
		return row, profile, nil
	}
	a.status.say("listing clusters")
	rows, err := a.inventory(ctx, place, false)
	a.status.clear()
	if err != nil {
		return row, "", err
	}
	if len(rows) == 0 {
		return row, "", hinted{fmt.Errorf("there is no active cluster in %s", region), exitFailed, "look elsewhere with --region and --profile"}
	}
	row, err = a.choice(ctx, rows, "emr-accessd init")
	return row, profile, err
}

// choice asks which cluster it is to be. Nothing is picked for somebody who cannot be asked; command is what they can
// give the cluster's id to.
func (a *app) choice(ctx context.Context, rows []clusterRow, command string) (clusterRow, error) {
	slices.SortStableFunc(rows, func(x, y clusterRow) int { return cmp.Compare(x.Name, y.Name) })
	if a.In == nil || !term.IsTerminal(int(a.In.Fd())) {
		renderClusters(a.Err, clustersAnswer{Clusters: rows}, false)
		return clusterRow{}, hinted{errors.New("there is no terminal to ask which cluster it is to be"), exitUsage, "name one: " + command + " j-…"}
	}
	for i, r := range rows {
		fmt.Fprintf(a.Err, "%3d  %s  %s  %s, %s\n", i+1, r.ID, cut(printable(cmp.Or(r.Name, "-")), 40), strings.ToLower(r.State), r.reached())
	}
	in := bufio.NewReader(io.LimitReader(a.In, maxTyped))
	for range 3 {
		fmt.Fprintf(a.Err, "Which one? [1-%d] ", len(rows))
		line, err := readLine(ctx, in)
		if ctx.Err() != nil {
			fmt.Fprintln(a.Err)
			return clusterRow{}, ctx.Err()
		}
		if n, numErr := strconv.Atoi(strings.TrimSpace(line)); numErr == nil && n >= 1 && n <= len(rows) {
			return rows[n-1], nil
		}
		if err != nil {
			break
		}
	}
	return clusterRow{}, hinted{errors.New("no cluster was picked"), exitUsage, "name one: " + command + " j-…"}
}

// maxTyped is more than anybody types to answer a question, in bytes.
const maxTyped = 4 << 10

// firstConfig is the text of the configuration. It is read back by the program's own reader before anybody sees it.
func (a *app) firstConfig(r clusterRow, profile string, byName bool) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by `emr-accessd init`. docs/configuration.md has every key.\n[[target]]\n")
	if byName {
		if r.Name == "" || strings.Contains(r.Name, "*") || r.Name != printable(r.Name) {
			return "", hinted{fmt.Errorf("the name %q of the cluster cannot stand for it", printable(r.Name)), exitUsage, "leave out --by-name"}
		}
		fmt.Fprintf(&b, "name = %s # also those that will have this name\n", config.Quote(r.Name))
	} else {
		fmt.Fprintf(&b, "cluster = %s # %s\n", config.Quote(r.ID), printable(r.Name))
	}
	if profile != "" {
		fmt.Fprintf(&b, "profile = %s\n", config.Quote(profile))
	}
	fmt.Fprintf(&b, "region = %s\naccount = %s # nothing is written to any other\n", config.Quote(r.Region), config.Quote(r.Account))
	group := cmp.Or(a.flags.group, config.GroupManaged)
	switch {
	case group != config.GroupManaged && group != config.GroupAdditional:
		return "", usageError{fmt.Errorf("--group %q: use managed or additional", group), ""}
	case group == config.GroupAdditional && len(r.Groups.AdditionalPrimary) == 0:
		return "", fmt.Errorf("%s: %w", r.ID, errNoAdditional)
	case group == config.GroupAdditional:
		fmt.Fprintf(&b, "group = %q # %s: EMR never changes it\n", group, printable(r.Groups.AdditionalPrimary[0]))
	default:
		fmt.Fprintf(&b, "group = %q # %s: EMR's default groups serve every cluster of the VPC, and so does a rule in them\n", group, printable(r.Groups.Primary))
	}
	if a.flags.changed("port") {
		fmt.Fprintf(&b, "port = %d\n", a.flags.port)
	}
	if a.flags.changed("nodes") {
		quoted := make([]string, len(a.flags.nodes))
		for i, n := range a.flags.nodes {
			quoted[i] = config.Quote(n)
		}
		fmt.Fprintf(&b, "nodes = [%s]\n", strings.Join(quoted, ", "))
	}
	switch {
	case a.flags.address != "":
		fmt.Fprintf(&b, "address = %s\n", config.Quote(a.flags.address))
	case r.Reach == reachPrivate:
		fmt.Fprintf(&b, "address = %q # it has no public address: this needs a VPN or Direct Connect\n", config.AddressLocal)
	}
	if _, err := config.Parse([]byte(b.String()), "the new configuration"); err != nil {
		return "", err
	}
	return b.String(), nil
}

// writeNew writes a file that must not be there yet, readable by its user alone.
func writeNew(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("configuration folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errExists(path)
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("configuration: %w", err), os.Remove(path))
	}
	return nil
}

// lacking says which permissions the new configuration needs and the user has not, with the policy to ask for. It
// reports whether nothing is known to be lacking.
func (a *app) lacking(ctx context.Context, r clusterRow, profile string) bool {
	t := config.DefaultTarget()
	t.Cluster, t.Profile, t.Region = r.ID, profile, r.Region
	t.Group = cmp.Or(a.flags.group, t.Group)
	if a.flags.changed("nodes") {
		t.Nodes = a.flags.nodes
	}
	features := []iampolicy.Feature{iampolicy.Rules, iampolicy.Connect}
	checks, err := a.permissions(ctx, keeperTarget(t, a.cfg.Rules.Lease), features)
	a.status.clear()
	var lack []string
	for _, c := range checks {
		if c.Result == missing && !slices.Contains(lack, c.Action) {
			lack = append(lack, c.Action)
		}
	}
	switch {
	case err != nil:
		fmt.Fprintf(a.Err, "emr-accessd: note: your permissions could not be asked for: %s\n", printable(err.Error()))
		fmt.Fprintln(a.Out, "`emr-accessd policy --with connect` prints the policy that it needs.")
	case len(lack) > 0:
		a.flags.profile, a.flags.region = profile, r.Region
		if err := a.policy(ctx, []string{r.ID}, features, policyFlags{}); err != nil {
			fmt.Fprintf(a.Err, "emr-accessd: note: the policy could not be made: %s\n", printable(err.Error()))
		}
		fmt.Fprintf(a.Out, "You lack permissions: %s.\nAsk whoever administers account %s for the policy above; `emr-accessd policy --with connect > policy.json` writes it to a file.\n",
			strings.Join(lack, ", "), r.Account)
	default:
		fmt.Fprintln(a.Out, "You have the permissions that it needs, as far as EC2 tells before there is a rule (`emr-accessd policy --check`).")
	}
	return err == nil && len(lack) == 0
}
