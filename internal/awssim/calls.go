package awssim

import (
	"maps"
	"time"
)

// Call is one request that reached the simulated endpoint.
type Call struct {
	At        time.Time // when it arrived, by Options.Now
	Service   string    // "ec2", "elasticmapreduce" or "sts"; "" if that could not be told
	Action    string    // "DescribeInstances"; "" if the request names none
	AccessKey string
	// Params are the request's parameters by their names on the wire ("IpPermissions.1.IpRanges.1.CidrIp").
	// EMR's JSON is flattened in the same way, lists counted from 1 ("ClusterStates.1").
	Params map[string]string
	Status int    // HTTP status of the answer; 0 while it is being served, or where no answer was made
	Code   string // error code of the answer; "" for success
	// Dropped is set when the client got no answer (DropBefore, DropAfter, or it hung up).
	// A Status other than 0 then tells what the answer would have been.
	Dropped bool
}

// Write reports whether the call asked for a change: not a read, and not a dry run. It says nothing about
// success; Status and Code do.
func (c Call) Write() bool {
	return isWrite(c.Service, c.Action) && c.Params["DryRun"] != "true"
}

// isWrite reports whether an action changes something. AssumeRole makes credentials and changes nothing.
func isWrite(service, action string) bool {
	return service == "ec2" && action != "" && !hasAnyPrefix(action, "Describe", "Get", "List")
}

// Calls returns the requests so far, in the order in which they arrived. The copies are the caller's.
func (s *Sim) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Call, len(s.calls))
	for i, c := range s.calls {
		out[i] = *c
		out[i].Params = maps.Clone(c.Params)
	}
	return out
}

// ResetCalls forgets the requests so far.
func (s *Sim) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}
