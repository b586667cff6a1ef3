package sgsync

import "time"

// The lease protocol rests on timing, because EC2 has no transactions: a client reads, decides and writes,
// and another client may do the same in between. These bounds make the windows finite.
const (
	// WriteWindow is how old a read may be, by the wall clock, when a write that was planned on it is sent.
	WriteWindow = 5 * time.Second
	// AddressWindow is how old the look at the own address may be when a write that rests on it is sent. A
	// round with retries takes some seconds; a laptop that slept is elsewhere.
	AddressWindow = 30 * time.Second
	// AttemptTimeout ends a write call; a write is attempted once.
	AttemptTimeout = 5 * time.Second
	// W is the longest from sending a Describe to the last moment at which a write planned on it can act.
	W = WriteWindow + AttemptTimeout
	// Sigma (σ) is how stale a Describe may be. EC2 promises no number ("a small delay might occur", AWS,
	// AuthorizeSecurityGroupIngress); others see one to eight seconds.
	Sigma = 10 * time.Second
	// D is how long after planning a join the lease may still be lost to somebody who did not see it:
	// the join takes effect at most W after the read it was planned on; for σ longer a reader may miss it;
	// that reader's write may act W later; and our own confirming read may be σ old.
	D = W + Sigma + W + Sigma + ClockGrain
	// ClockGrain is the resolution of AWS's clock as we see it: HTTP's Date header has whole seconds (RFC 9110, 5.6.7).
	ClockGrain = time.Second
	// Grace is how long after its end an ended lease of somebody else still protects its rule. It costs
	// nothing and forgives a laptop that renews late.
	Grace = 5 * time.Minute
	// MaxLease bounds a lease: an end further ahead is not ours and not to be trusted (AWS's clock decides).
	MaxLease = 7 * 24 * time.Hour
	// KeepUnknown is how long after its last confirmation a lease is renewed while the address is unknown.
	KeepUnknown = 12 * time.Hour
	// AbsentAfter is how long a family must be gone before its rules are given up: a changing network
	// brings IPv6 up seconds after IPv4, and a train has tunnels.
	AbsentAfter = 10 * time.Minute
	// RecheckBorrowed is how often a borrowed rule is looked at: it may go at any time.
	RecheckBorrowed = time.Minute
)
