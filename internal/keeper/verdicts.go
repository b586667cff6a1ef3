package keeper

import (
	"sync"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// verdicts keeps the last verdicts of each family towards each target, to tell a network in the middle of a change
// from one that stays as it is. It is of this process: a command that runs once sees one look, and says no more.
type verdicts struct {
	mu   sync.Mutex
	last map[string][]ipwatch.Verdict // by memoryKey
}

// remembered is how many verdicts are kept: the conflicts of some minutes.
const remembered = 2 * ipwatch.StandingAfter

// add puts a verdict behind the others, once for each look, and returns all.
func (h *verdicts) add(key string, v ipwatch.Verdict) []ipwatch.Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		h.last = map[string][]ipwatch.Verdict{}
	}
	vs := h.last[key]
	if n := len(vs); n == 0 || !vs[n-1].At.Equal(v.At) {
		vs = append(vs[max(0, n+1-remembered):n:n], v)
		h.last[key] = vs
	}
	return vs
}

// reportVerdict is a verdict with what a state that stays means.
func (r *round) reportVerdict(t Target, v ipwatch.Verdict) Verdict {
	vs := r.Store.verdicts.add(memoryKey(t, v.Family), v)
	out := reportVerdict(v)
	if v.State == ipwatch.Conflict {
		out.Why, out.Remedy = ipwatch.Standing(vs)
	}
	return out
}
