package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

const thisComputer = "this computer"

// local are the looks at this computer.
func (d *doctor) local() []*exam {
	// Before the looks begin: several of them read these.
	store, storeErr := d.app.store()
	det, detErr := d.detector()
	d.store, d.det, d.seen = store, det, map[ipwatch.Family]ipwatch.Observation{}
	d.address = &exam{subject: thisComputer, id: "address", look: func(ctx context.Context) finding {
		if detErr != nil {
			return bad(detErr.Error(), "correct [address] in the configuration (docs/configuration.md)")
		}
		return d.lookAtAddress(ctx)
	}}
	return []*exam{
		{subject: thisComputer, id: "service", limit: 5 * time.Second, look: func(ctx context.Context) finding {
			if storeErr != nil {
				return bad(oneLine(storeErr), joinHints(storeErr, ""))
			}
			return d.lookAtService(installed(ctx))
		}},
		d.address,
	}
}

// What is known of the service.
const (
	serviceNone    = "none"    // none is installed, or no service manager is there
	serviceStopped = "stopped" // installed, and it does not run
	serviceRuns    = "runs"
)

// installed asks the service manager. Where that cannot tell, the daemon's lock says whether one runs.
func installed(ctx context.Context) string {
	m, err := manager("")
	if err != nil {
		return serviceNone
	}
	switch st, err := m.State(ctx); {
	case err != nil || !st.Installed:
		return serviceNone
	case st.Active:
		return serviceRuns
	}
	return serviceStopped
}

func (d *doctor) lookAtService(manager string) finding {
	ans := d.statusOf(d.store)
	now := time.Now()
	last := ""
	if ans.LastRound != nil {
		last = ", its last round was " + ago(*ans.LastRound, now)
	}
	failed := ""
	if ans.LastError != nil {
		failed = *ans.LastError
	}
	for _, t := range ans.Targets {
		if t.Error != nil && failed == "" {
			failed = t.Target + ": " + *t.Error
		}
	}
	switch {
	case ans.Paused != nil:
		return bad(pausedUntil(*ans.Paused, now), "emr-accessd resume")
	case !ans.Running && manager == serviceStopped:
		return bad("the service is installed and does not run"+last, "emr-accessd start; emr-accessd logs says why it ended")
	case !ans.Running && manager == serviceRuns:
		return notKnown("the service runs, with another state folder than "+ans.StateDir, "emr-accessd install, from this shell")
	case !ans.Running:
		return ok("no daemon runs; connect, proxy and sync bring the rule in place themselves (`emr-accessd install` keeps it there)")
	case failed != "":
		return bad("the daemon runs"+last+", and it failed: "+failed, "emr-accessd sync shows it now; the checks below say more")
	}
	return ok("the daemon runs" + last)
}

// lookAtAddress asks the sources, over both families.
func (d *doctor) lookAtAddress(ctx context.Context) finding {
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[ipwatch.Family]ipwatch.Observation{}
	for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
		wg.Go(func() {
			o := d.det.ObserveAll(ctx, f)
			mu.Lock()
			defer mu.Unlock()
			seen[f] = o
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return finding{}
	}
	d.seen = seen
	var good, wrong, remedies, notes []string
	for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
		v := d.det.Conclude(seen[f], nil)
		switch {
		case v.State == ipwatch.Confirmed:
			good = append(good, v.Why)
			notes = append(notes, besideEgress(v.Warnings)...)
		case v.State == ipwatch.Absent:
		case f == ipwatch.V4 || v.State != ipwatch.Offline:
			wrong = append(wrong, v.Why)
			remedies = append(remedies, addressRemedy(v))
		}
	}
	f := ok(strings.Join(good, " "))
	if len(good) == 0 {
		f = bad(cmp.Or(strings.Join(wrong, " "), "this computer has no address that the internet sees"), cmp.Or(strings.Join(remedies, "; "), "connect to a network"))
	} else {
		notes = append(notes, wrong...)
	}
	f.notes, f.goOn = notes, true
	return f
}

// besideEgress leaves out the warning that nothing was compared: each target is compared later.
func besideEgress(warnings []string) (out []string) {
	for _, w := range warnings {
		if !strings.HasPrefix(w, "No node with") {
			out = append(out, w)
		}
	}
	return out
}

// addressRemedy says what to do about an address that is not known.
func addressRemedy(v ipwatch.Verdict) string {
	switch v.State {
	case ipwatch.Captive:
		return "open a page in a browser and sign in to this network"
	case ipwatch.Offline:
		return "connect to a network; behind a proxy, direct HTTPS has to be allowed to the sources, or set the address yourself (docs/address.md)"
	}
	if v.Remedy != "" {
		return fmt.Sprintf("if you find that right, write %s under [address]; `emr-accessd ip` shows what each source says", v.Remedy)
	}
	return "`emr-accessd ip` shows what each source says"
}
