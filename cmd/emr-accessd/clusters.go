package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

// clustersAnswer is `clusters --json`; docs/json.md describes it.
type clustersAnswer struct {
	Clusters []clusterRow  `json:"clusters"`
	Shared   []groupUse    `json:"shared"`
	Failed   []failedPlace `json:"failed"`
}

// failedPlace is a profile and region that could not be looked at, or not wholly.
type failedPlace struct {
	Profile string `json:"profile"`
	Region  string `json:"region"`
	Error   string `json:"error"`
	Hint    string `json:"hint"`
	err     error
}

// clusterRow is what is known of one cluster.
type clusterRow struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	State   string         `json:"state"`
	Release string         `json:"release"`
	Created *time.Time     `json:"created"`
	Profile string         `json:"profile"`
	Region  string         `json:"region"`
	Account string         `json:"account"`
	Nodes   map[string]int `json:"nodes"` // by role
	Reach   string         `json:"reach"` // public, private or unknown
	Primary []string       `json:"primary"`
	Groups  clusterGroups  `json:"groups"`
	KeyName string         `json:"key_name"`
	Targets []string       `json:"targets"`
	Problem string         `json:"problem,omitempty"`
	tags    map[string]string
}

// clusterGroups are a cluster's security groups.
type clusterGroups struct {
	Primary           string   `json:"primary"`
	Core              string   `json:"core"`
	AdditionalPrimary []string `json:"additional_primary"`
	AdditionalCore    []string `json:"additional_core"`
}

// groupUse is a group that several active clusters use.
type groupUse struct {
	Group    string   `json:"group"`
	Clusters []string `json:"clusters"`
}

func (a *app) clustersCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "clusters",
		Short: "the clusters of your account: state, nodes, groups, and which are targets",
		Long: `Lists the active clusters in the regions of the configuration, or in the one that
--region and --profile name: whether their primary node has a public address, which
security groups they use, and which of them your configuration follows. Nothing is
changed. Where a profile or region cannot be looked at, the others are shown all the
same.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 sign in again; of several
places that failed the first decides.`,
		Example: `  emr-accessd clusters
  emr-accessd clusters --profile work --region eu-west-1 --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(); err != nil {
				return err
			}
			return a.clusters(cmd.Context(), all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that have ended (EMR remembers them for two months)")
	return cmd
}

func (a *app) clusters(ctx context.Context, all bool) error {
	a.status = newProgress(a.Err)
	targets, err := a.targets()
	if err != nil {
		return err
	}
	places := targets
	if len(places) == 0 {
		places = []keeper.Target{a.here()}
	}
	ans := clustersAnswer{Clusters: []clusterRow{}, Shared: []groupUse{}, Failed: []failedPlace{}}
	seen := map[string]bool{}
	for _, p := range places {
		if key := p.Profile + "|" + p.Region; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		a.status.say("listing clusters")
		rows, err := a.inventory(ctx, p, all)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil {
			ans.Failed = append(ans.Failed, failedPlace{p.Profile, p.Region, err.Error(), firstHint(err), err})
		} else {
			a.rememberRows(ctx, p, rows)
		}
		for _, r := range rows {
			r.Targets = targetsOf(r, targets, p)
			ans.Clusters = append(ans.Clusters, r)
		}
	}
	ans.Shared = sharedGroups(ans.Clusters)
	a.status.clear()
	err = a.print(ans, func(w io.Writer) {
		if len(ans.Failed) < len(seen) || len(ans.Clusters) > 0 {
			renderClusters(w, ans, all)
		}
	})
	if err != nil {
		return err
	}
	return a.failed(ans.Failed, len(seen))
}

// failed turns the places that could not be looked at into the command's end. Each is told with its own remedy; the
// first decides the code, as with targets that fail.
func (a *app) failed(failed []failedPlace, places int) error {
	switch {
	case len(failed) == 0:
		return nil
	case places == 1:
		return failed[0].err
	}
	for _, f := range failed {
		a.tell(fmt.Errorf("%s: %w", f.place(), f.err))
	}
	return hinted{fmt.Errorf("%d of %d places could not be looked at", len(failed), places), exitCode(failed[0].err), ""}
}

func (f failedPlace) place() string {
	return fmt.Sprintf("profile %s, region %s", cmp.Or(f.Profile, "(default)"), cmp.Or(f.Region, "(default)"))
}

// targetsOf names the targets of the configuration that a cluster belongs to.
func targetsOf(r clusterRow, targets []keeper.Target, place keeper.Target) []string {
	labels := []string{}
	for _, t := range targets {
		here := t.Profile == place.Profile && t.Region == place.Region
		hit := t.Cluster == r.ID
		if t.Cluster == "" && t.SecurityGroup == "" {
			hit = (t.NamePattern == "" || matches(t.NamePattern, r.Name)) && hasTags(r.tags, t.ClusterTags)
		} else if t.SecurityGroup != "" {
			hit = slices.Contains(r.Groups.list(), t.SecurityGroup)
		}
		if here && hit && !slices.Contains(labels, t.Label) {
			labels = append(labels, t.Label)
		}
	}
	return labels
}

func (g clusterGroups) list() []string {
	return slices.DeleteFunc(slices.Concat([]string{g.Primary, g.Core}, g.AdditionalPrimary, g.AdditionalCore), func(id string) bool { return id == "" })
}

// sharedGroups finds the groups of several active clusters: EMR's default groups serve all clusters of a VPC.
func sharedGroups(rows []clusterRow) []groupUse {
	users := map[string][]string{}
	for _, r := range rows {
		if len(r.Nodes) == 0 {
			continue
		}
		ids := r.Groups.list()
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			users[id] = append(users[id], r.ID)
		}
	}
	out := []groupUse{}
	for _, id := range slices.Sorted(maps.Keys(users)) {
		if len(users[id]) > 1 {
			out = append(out, groupUse{id, users[id]})
		}
	}
	return out
}

func renderClusters(w io.Writer, ans clustersAnswer, all bool) {
	if len(ans.Clusters) == 0 {
		fmt.Fprint(w, "no active cluster here")
		if !all {
			fmt.Fprint(w, "; --all shows those that have ended, --region and --profile look elsewhere")
		}
		fmt.Fprintln(w)
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "CLUSTER\tNAME\tSTATE\tRELEASE\tNODES\tREACHED\tGROUP\tTARGET")
	for _, r := range ans.Clusters {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(r.ID), cut(printable(cmp.Or(r.Name, "-")), 40), printable(strings.ToLower(r.State)), cmp.Or(printable(r.Release), "-"),
			nodeCounts(r.Nodes), r.reached(), printable(cmp.Or(r.Groups.Primary, "-")), cut(printable(cmp.Or(strings.Join(r.Targets, ", "), "-")), 40))
	}
	_ = tw.Flush()
	for _, r := range ans.Clusters {
		if r.Problem != "" {
			fmt.Fprintf(w, "note: %s: %s\n", printable(r.ID), printable(r.Problem))
		}
		if extra := r.Groups.AdditionalPrimary; len(extra) > 0 {
			fmt.Fprintf(w, "note: %s has the additional group %s, which EMR never changes (group = \"additional\")\n", printable(r.ID), printable(strings.Join(extra, ", ")))
		}
	}
	for _, s := range ans.Shared {
		fmt.Fprintf(w, "note: %s is the group of %d clusters: a rule in it opens them all\n", printable(s.Group), len(s.Clusters))
	}
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if rs := []rune(s); len(rs) > n {
		return string(rs[:n-1]) + "…"
	}
	return s
}

// nodeCounts is "1 primary, 2 core", in the order of roles.
func nodeCounts(nodes map[string]int) string {
	var parts []string
	for _, role := range roles {
		if n := nodes[role]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, role))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

// reached is how the primary node is reached, for people.
func (r clusterRow) reached() string {
	if r.Reach == reachUnknown {
		return "-"
	}
	return strings.TrimSpace(r.Reach + " " + strings.Join(r.Primary, " "))
}
