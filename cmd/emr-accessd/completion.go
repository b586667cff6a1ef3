package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/spf13/cobra"
)

// completionTime bounds what a shell waits for: the user sits before a line that does not move.
const completionTime = 4 * time.Second

// completeClusters has the shell complete the ids and names of clusters for the commands that take one.
func (a *app) completeClusters(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if strings.Contains(cmd.Use, "CLUSTER") {
			cmd.ValidArgsFunction = a.clusterWords
		}
	}
}

// clusterWords are the words that may stand for a cluster. What goes wrong shows as no words: a completion has nowhere to tell it.
func (a *app) clusterWords(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	const nothingElse = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 && !strings.Contains(cmd.Use, "CLUSTER…") || a.load() != nil {
		return nil, nothingElse
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	var list []awsclient.ClusterSummary
	if c, err := awsclient.Open(ctx, awsclient.Options{Profile: a.flags.profile, Region: a.flags.region, UserAgent: "emr-accessd/" + version()}); err == nil {
		list, _ = c.ListClusters(ctx, false)
		c.Close()
	}
	var words []string
	for _, t := range a.cfg.Targets {
		if t.Cluster != "" && !slices.ContainsFunc(list, func(s awsclient.ClusterSummary) bool { return s.ID == t.Cluster }) {
			words = append(words, t.Cluster+"\tof the configuration")
		}
	}
	named := map[string]int{}
	for _, s := range list {
		words = append(words, s.ID+"\t"+cut(printable(s.Name), 40)+", "+strings.ToLower(printable(s.State)))
		named[s.Name]++
	}
	for _, s := range list {
		// A word that a shell would split or expand, or that two clusters share, is none.
		if named[s.Name] == 1 && plainWord(s.Name) {
			words = append(words, s.Name+"\t"+s.ID)
		}
	}
	return slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, begun) }), nothingElse
}
