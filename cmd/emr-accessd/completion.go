package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/spf13/cobra"
)

const (
	// completionPatience is how long a shell that completes a word waits for AWS: nobody wants a prompt that hangs.
	completionPatience = 900 * time.Millisecond
	// completionFresh is how old a list of clusters may be before AWS is asked again.
	completionFresh = 5 * time.Minute
)

// completeClusters has the shell complete clusters for each command whose usage names CLUSTER, and profiles, regions and nodes.
func (a *app) completeClusters(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Flags().Lookup("node") != nil {
			_ = cmd.RegisterFlagCompletionFunc("node", cobra.FixedCompletions(nodeWords, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder))
		}
		at, many := clusterArg(cmd.Use)
		if at < 0 || cmd.ValidArgsFunction != nil {
			continue
		}
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) != at && (!many || len(args) < at) {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return completions(a.knownClusters(cmd.Context()), args, begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		}
	}
	for name, words := range map[string]func() []string{"profile": awsclient.Profiles, "region": awsclient.DefaultRegions} {
		_ = root.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return slices.DeleteFunc(words(), func(w string) bool { return !plainArgument(w) || !strings.HasPrefix(w, begun) }), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// clusterArg reads from a usage line which argument is a cluster, and whether more may follow; at is -1 for none.
func clusterArg(use string) (at int, many bool) {
	at = -1
	words := strings.Fields(use)[1:]
	words = slices.DeleteFunc(words, func(w string) bool { return w == "[flags]" })
	for i, w := range words {
		if w = strings.Trim(w, "[]"); w == "CLUSTER" || w == "CLUSTER…" {
			return i, w == "CLUSTER…"
		}
	}
	return at, false
}

// suggestion is a word that the shell may put in, and what is said beside it.
type suggestion struct{ word, about string }

// completions are the suggestions that go on from what was begun and are not there already.
func completions(all []suggestion, have []string, begun string) (out []cobra.Completion) {
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s.word] && plainArgument(s.word) && strings.HasPrefix(s.word, begun) && !slices.Contains(have, s.word) {
			out = append(out, cobra.CompletionWithDesc(s.word, cut(printable(s.about), 60)))
		}
		seen[s.word] = true
	}
	return out
}

// anyShellsWord is what every shell takes for one word as it stands: names come from AWS, and what is completed may be run.
var anyShellsWord = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./@+-]*$`)

func plainArgument(s string) bool { return len(s) <= 100 && anyShellsWord.MatchString(s) }

// knownClusters are the targets of the configuration and the active clusters, as far as they are known soon. What goes
// wrong is nothing for a shell to show.
func (a *app) knownClusters(ctx context.Context) (out []suggestion) {
	if a.load() != nil {
		return nil
	}
	list := a.activeClusters(ctx)
	about := map[string]string{}
	names := map[string]int{}
	for _, c := range list {
		about[c.ID] = strings.Trim(c.Name+", "+strings.ToLower(c.State), ", ")
		names[c.Name]++
	}
	targets, _ := a.targets()
	for _, t := range targets {
		switch said := about[t.Cluster]; {
		case t.Cluster != "" && said != "":
			out = append(out, suggestion{t.Label, said})
		default:
			out = append(out, suggestion{t.Label, "in the configuration"})
		}
	}
	for _, c := range list {
		out = append(out, suggestion{c.ID, about[c.ID]})
	}
	for _, c := range list {
		if names[c.Name] == 1 { // an ambiguous name is refused anyway
			out = append(out, suggestion{c.Name, c.ID + ", " + strings.ToLower(c.State)})
		}
	}
	return out
}

// activeClusters are the clusters of the profile and region that the command line names, else of those in the
// configuration. They come from the last list; where that is old, AWS is asked, if it answers at once and nobody has to
// be asked for credentials.
func (a *app) activeClusters(ctx context.Context) (all []cachedCluster) {
	targets, _ := a.targets()
	if len(targets) == 0 {
		targets = append(targets, a.here())
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	fresh := make(chan cachedPlace, len(targets))
	asked := map[[2]string]bool{}
	cache := a.readClusterCache()
	for _, t := range targets {
		o := awsclient.Options{Profile: t.Profile, Region: t.Region, UserAgent: "emr-accessd/" + version()}
		profile, region, err := awsclient.Defaults(ctx, o)
		if key := [2]string{profile, region}; err != nil || asked[key] {
			continue
		} else {
			asked[key] = true
		}
		p := cache.place(profile, region)
		go func() { // left behind when it takes longer: the program ends then
			age := time.Since(p.At)
			if age >= 0 && age < completionFresh || !awsclient.Unattended(ctx, o) {
				fresh <- p
				return
			}
			if list, err := listNow(ctx, o); err == nil {
				p = newCachedPlace(profile, region, list)
			}
			fresh <- p
		}()
	}
	for range len(asked) {
		select {
		case p := <-fresh:
			if time.Since(p.At).Abs() < completionFresh && p.At.After(cache.place(p.Profile, p.Region).At) {
				a.rememberClusters(p)
			}
			all = append(all, p.Clusters...)
			delete(asked, [2]string{p.Profile, p.Region})
		case <-ctx.Done():
		}
	}
	for key := range asked { // what did not answer in time
		all = append(all, cache.place(key[0], key[1]).Clusters...)
	}
	slices.SortStableFunc(all, func(x, y cachedCluster) int { return strings.Compare(x.Name+"\x00"+x.ID, y.Name+"\x00"+y.ID) })
	return all
}

func listNow(ctx context.Context, o awsclient.Options) ([]awsclient.ClusterSummary, error) {
	c, err := awsclient.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ListClusters(ctx, false)
}
