package main

import (
	"context"
	"fmt"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

const here, there = "198.51.100.7", "198.51.100.8"

// clusters measures rounds with more and more clusters.
func (l *lab) clusters(ctx context.Context) (rows []row, err error) {
	sizes := []int{1, 10, 100, 1000}
	if l.short {
		sizes = []int{1, 10, 40}
	}
	for _, n := range sizes {
		more, err := l.clustersOf(ctx, n)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (l *lab) clustersOf(ctx context.Context, n int) (rows []row, err error) {
	w, err := l.world()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	var all []target
	for i := range n {
		region := regions[i%len(regions)]
		all = append(all, target{region: region, cluster: w.cluster(region)})
	}
	w.far.Store(int64(l.roundTrip))
	for _, step := range []struct {
		what, address string
		args          []string
		writes        int
	}{
		{"first round", here, []string{"sync"}, n}, {"nothing to do", here, []string{"sync"}, 0}, {"another address", there, []string{"sync"}, n},
		{"status", there, []string{"status"}, 0}, {"status --json", there, []string{"status", "--json"}, 0},
	} {
		fmt.Fprintf(l.progress, "%d clusters: %s\n", n, step.what)
		if err := w.configure(step.address, all); err != nil {
			return nil, err
		}
		s, err := w.run(ctx, step.args...)
		if err != nil {
			return nil, err
		}
		if s.Writes != step.writes {
			return nil, fmt.Errorf("%d clusters, %s: %d writes, want %d", n, step.what, s.Writes, step.writes)
		}
		rows = append(rows, row{step.what, n, s})
	}
	return rows, nil
}

// rules measures a round of one group with more and more rules.
func (l *lab) rules(ctx context.Context) (rows []row, err error) {
	sizes := []int{1, 60, 1000}
	if l.short {
		sizes = []int{1, 60}
	}
	for _, n := range sizes {
		for _, whose := range []string{ofOthers, ofColleagues} {
			fmt.Fprintf(l.progress, "a group of %d rules, %s\n", n, whose)
			s, err := l.rulesOf(ctx, n, whose)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row{whose, n, s})
		}
	}
	return rows, nil
}

func (l *lab) rulesOf(ctx context.Context, n int, whose string) (s sample, err error) {
	w, err := l.world()
	if err != nil {
		return s, err
	}
	defer w.Close()
	g := w.group(regions[0])
	for i := range n - 1 { // and our own
		w.sims[regions[0]].AddRule(g, ruleOf(whose, i))
	}
	if err := w.configure(here, []target{{region: regions[0], group: g}}); err != nil {
		return s, err
	}
	if _, err := w.run(ctx, "sync"); err != nil {
		return s, err
	}
	return w.typical(ctx, "sync", "--json")
}

// Whose rules there are beside our own.
const (
	ofOthers     = "rules of others"
	ofColleagues = "leased by colleagues"
)

// ruleOf is the i-th rule in a group, for an address of its own.
func ruleOf(whose string, i int) awssim.RuleSpec {
	r := awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: fmt.Sprintf("203.0.%d.%d/32", 113+i/250, 1+i%250), Description: "office of a partner, ticket 4711",
		Tags: map[string]string{"team": "data", "cost-center": "4711"}}
	if whose == ofColleagues {
		h := sgsync.Holder{UserID: fmt.Sprintf("AIDACOLLEAGUE%07d", i), Installation: fmt.Sprintf("%016x", i)}
		r.Description = "emr-accessd colleague@laptop 2026-11-22T10:04Z"
		r.Tags = map[string]string{sgsync.OwnerTag: h.UserID, h.Key(): sgsync.FormatLease(time.Now().Add(20*time.Hour), time.Now().Add(-4*time.Hour), "colleague@laptop")}
	}
	return r
}
