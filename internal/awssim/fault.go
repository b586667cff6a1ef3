package awssim

import (
	"slices"
	"strings"
	"time"
)

// Fault makes requests go wrong. Where several faults match a request, the one that was injected first acts.
// A Fault that sets neither Code, RawBody, DropBefore nor DropAfter only delays.
type Fault struct {
	// Action is the action that it hits: "CreateTags", "ec2:CreateTags", or "" for any.
	Action string
	// AccessKey limits it to the requests of one principal; "" means everybody's.
	AccessKey string
	// Times is how many requests it hits; 0 means all, until [Sim.ClearFaults].
	Times int
	// After is how many matching requests pass unharmed first.
	After int

	// Latency passes before the request takes effect. A client that hangs up in the meantime undoes it.
	Latency time.Duration
	// AnswerLatency passes after the effect, before the answer.
	AnswerLatency time.Duration
	// Code is the error code of the answer; the request has no effect. EMR codes and EC2 codes go into the
	// body that the service uses.
	Code string
	// Message goes with Code; "" means a general text.
	Message string
	// Status is the HTTP status; 0 means the one that AWS sends with Code (400 where that is not known), or
	// 503 for a RawBody.
	Status int
	// RawBody is sent in place of an answer, as text/html and without a request id; the request has no effect. Its Call
	// has the Code "RawBody". The SDK takes it for an empty answer of EC2 where Status is 200.
	RawBody string
	// DropBefore closes the connection before the request has an effect.
	DropBefore bool
	// DropAfter lets the request take effect, and closes the connection in place of an answer.
	DropAfter bool
}

type fault struct {
	Fault
	passed, hit int // matching requests so far
}

// Inject adds a fault. It acts on requests that arrive from now on.
func (s *Sim) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{Fault: f})
}

// ClearFaults removes all faults.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// nextFault returns the fault that hits a request; ok is false where none does. A request that one fault hits does not count for
// those after it.
func (s *Sim) nextFault(service, action, accessKey string) (hit Fault, ok bool) {
	for i, f := range s.faults {
		if f.AccessKey != "" && f.AccessKey != accessKey || !matchAction(f.Action, service, action) {
			continue
		}
		if f.passed < f.After {
			f.passed++
			continue
		}
		if f.hit++; f.hit == f.Times {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return f.Fault, true
	}
	return Fault{}, false
}

// matchAction reports whether "Action", "service:Action" or "" names the action.
func matchAction(name, service, action string) bool {
	if svc, act, ok := strings.Cut(name, ":"); ok {
		return svc == service && act == action
	}
	return name == "" || name == action
}
