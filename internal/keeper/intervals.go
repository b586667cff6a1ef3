package keeper

import (
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// The intervals of rounds and of the loop. Jitter is added where many laptops could act together.
const (
	// DriftCheck is how often the rules are read although nothing has happened: somebody may have removed
	// one by hand. Four looks an hour per laptop stay far below EC2's 20 a second for an account.
	DriftCheck = 15 * time.Minute
	// DuePoll is how often the daemon looks whether a command has set a round due earlier than it waits for. It looks
	// at the time of one file.
	DuePoll = time.Minute
	// EvidenceAge is how long a look at the own address may stand for a new one in rounds that change nothing.
	// Eight looks a day cost some 0.15 MB; changes are noticed by events and by the watch behind the NAT,
	// and every write has a fresh look of its own.
	EvidenceAge = 3 * time.Hour
	// PlaceAge is how long a cluster is taken to be where it was found, while AWS cannot be asked: as long as a lease
	// is kept while the address is unknown, and for the same reason.
	PlaceAge = sgsync.KeepUnknown
	// PatienceV6 is how long IPv6 may be slower than IPv4: some routers drop what they do not route.
	PatienceV6 = time.Second
	// AskAgain is how old the look at the own address may be when the rest of the round begins: signing in
	// can take a minute, and the address must be fresh when a rule is written.
	AskAgain = 10 * time.Second
	// SaveConfirmed is how often a mere confirmation of the same address is written to disk.
	SaveConfirmed = 5 * time.Minute
	// SweepEvery is how often rules of ours are looked for by tag: those of a group that no target leads to
	// any more, and those from before the state was lost.
	SweepEvery = 24 * time.Hour
	// FlipWindow is how soon an address must come back to count as flipping (two uplinks, a bad Wi-Fi).
	FlipWindow = time.Minute
	// FlipHold is how long the other address of a flip is held too, so that rules do not churn.
	FlipHold = time.Minute
	// MaxNext bounds the time to the next round.
	MaxNext = DriftCheck + DriftCheck/5
)

// As long as a cluster's primary nodes run, EMR itself is asked after so many looks at them: "Amazon EMR endpoints and quotas"
// gives an account one DescribeCluster a second and one ListInstances in two, its schedulers' own included. Looks are counted,
// not time: else all that slept would ask in the same minute of the morning.
const (
	LooksOfDaemon  = 96 // a day of looks for drift
	LooksOfCommand = 4
)

// backoff is the pause after a round that failed for the nth time in a row. The first steps are for a
// network that is coming up, the last for an expired sign-in overnight; any event cuts them short.
var backoff = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second,
	30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}

// waitingPause is the longest pause while AWS cannot be reached and the address has changed.
const waitingPause = time.Minute

// crowdedPause is the mean pause after the nth round in a row for which AWS had no room.
func crowdedPause(n int) time.Duration { return min(crowdedFirst<<(n-1), crowdedMost) }

const (
	crowdedFirst = 5 * time.Second
	crowdedMost  = 5 * time.Minute
)

// passWait is the pause before the nth look at a group in one round. The second look follows at once: a
// rule was joined, or had changed. Later ones wait for EC2's reads to show what its writes did (σ).
var passWait = [...]time.Duration{0, 0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}
