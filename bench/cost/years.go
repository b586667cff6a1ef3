package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// years measures what the files of a long use cost: a full history, and a state with all that it may remember.
func (l *lab) years(ctx context.Context) (rows []row, err error) {
	w, err := l.world()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	t := target{region: regions[0], cluster: w.cluster(regions[0])}
	if err := w.configure(here, []target{t}); err != nil {
		return nil, err
	}
	if _, err := w.run(ctx, "sync"); err != nil {
		return nil, err
	}
	records := 0
	for _, full := range []string{"fresh files", "a full history", "and a state of 1,000 targets"} {
		switch full {
		case "a full history":
			records, err = w.fillHistory()
		case "and a state of 1,000 targets":
			err = w.fillState(1000)
		}
		if err != nil {
			return nil, err
		}
		for _, args := range [][]string{{"status"}, {"status", "--history"}, {"status", "--history", "-n", "10"}, {"sync", t.cluster}} {
			fmt.Fprintf(l.progress, "%s: %s\n", full, args[0])
			s, err := w.typical(ctx, args...)
			if err != nil {
				return nil, err
			}
			what := full + ": " + args[0]
			if len(args) > 1 && args[0] == "status" {
				what = full + ": status --history"
				if len(args) > 2 {
					what += " -n 10"
				}
			}
			rows = append(rows, row{what, records, s})
		}
	}
	return rows, nil
}

// historySize is what a file of the history has at most, in bytes: see internal/keeper/history.go.
const historySize = 1 << 20

// fillHistory appends records until both files are as large as they get, and returns how many they hold.
func (w *world) fillHistory() (records int, err error) {
	store, err := keeper.OpenStore(w.state(), w.state())
	if err != nil {
		return 0, err
	}
	for n := 0; !w.full(); n++ {
		at := time.Now().UTC().Add(-5 * 365 * 24 * time.Hour).Add(time.Duration(n) * 2 * time.Hour)
		rec := keeper.Record{At: at, By: "run", Why: "the network has changed", Outcome: keeper.OutcomeChanged, Calls: 5,
			Addresses: []keeper.AddressNote{{Family: "ipv4", From: here, To: there, State: "confirmed", Why: "AWS and Cloudflare agree."}},
			Changes:   []keeper.RecordedChange{{Target: "j-2AXXXXXXGAPLF", Group: "sg-0123456789abcdef0", Rule: "sgr-0123456789abcdef0", Do: "move", CIDR: there + "/32", From: here + "/32", Port: 22}}}
		if err := store.Append(rec); err != nil {
			return 0, err
		}
	}
	recs, _, err := store.History(time.Time{}, 0)
	return len(recs), err
}

// full reports whether the history has two files, and the next record or the one after it would make the older one go.
func (w *world) full() bool {
	_, err := os.Stat(filepath.Join(w.state(), "history.1.jsonl"))
	now, err2 := os.Stat(filepath.Join(w.state(), "history.jsonl"))
	return err == nil && err2 == nil && now.Size() > historySize-1000
}

// fillState gives the state places, rules and reports of n more targets, which were seen a moment ago and which a round for
// one target leaves alone.
func (w *world) fillState(n int) error {
	file := filepath.Join(w.state(), "state.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var st keeper.State
	if err := json.Unmarshal(data, &st); err != nil {
		return err
	}
	var rem keeper.Remembered
	for _, rem = range st.Places {
	}
	report := st.Status.Report.Targets[0]
	for i := range n {
		r, rep := rem, report
		r.Target.Cluster = fmt.Sprintf("j-%013d", i)
		r.Target.Label, rep.Target, rep.Cluster = r.Target.Cluster, r.Target.Cluster, r.Target.Cluster
		r.Place.Cluster, r.Place.Groups = r.Target.Cluster, []string{fmt.Sprintf("sg-%017x", i)}
		st.Places[r.Target.Cluster] = r
		st.Rules[fmt.Sprintf("sgr-%017x", i)] = keeper.RuleMemory{Group: r.Place.Groups[0]}
		st.Status.Report.Targets = append(st.Status.Report.Targets, rep)
	}
	store, err := keeper.OpenStore(w.state(), w.state())
	if err != nil {
		return err
	}
	return store.Save(&st)
}
