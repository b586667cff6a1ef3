package main

import (
	"flag"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

var fleetSize = flag.Int("fleet", 0, "run TestFleet with so many installations")

// TestFleet is a whole company: installations that share the throttle buckets of one AWS account, each the real daemon
// with the real SDK, in virtual time. It prints how long they waited for access, what AWS refused, and how full the
// security groups got.
//
//	go test ./cmd/emr-accessd -run '^TestFleet$' -v -fleet 10000
//
// What must hold in any case: everybody gets in, and nobody else does.
func TestFleet(t *testing.T) {
	if *fleetSize == 0 {
		t.Skip("takes minutes: -fleet N runs it with N installations")
	}
	fleetEnv(t)
	for name, story := range map[string]func(*fleet){
		"everybody wakes at nine":          wakeAtNine,
		"the same, clusters go by name":    wakeByName,
		"the API is down for an hour":      apiDown,
		"the office has a new address":     officeMoves,
		"an hour in which nothing happens": idleHour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, *fleetSize)
				story(f)
				f.end()
			})
		})
	}
}

// wakeAtNine: everybody goes home, every lease ends in the night, and within a minute in the morning everybody opens the
// laptop at another address. By then the rules of yesterday have been removed by whoever came first, so each new one costs a
// call of Authorize, of which the account has 50 at once and then 5 a second.
func wakeAtNine(f *fleet) {
	f.settled()
	f.sleep()
	time.Sleep(15 * time.Hour)
	f.count.reset()
	for i, m := range f.members {
		m.addr = netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		time.AfterFunc(spreadOver(time.Minute, i, len(f.members)), m.wake)
	}
	f.await("access in the morning", 8*time.Hour, allowance(fleetWhole, 50, 5))
}

// wakeByName is the same where the configuration has names, so that EMR lists the clusters again and again.
func wakeByName(f *fleet) {
	f.names = true
	wakeAtNine(f)
}

// idleHour: everybody has access, and nothing happens.
func idleHour(f *fleet) {
	f.settled()
	f.count.reset()
	time.Sleep(time.Hour)
	f.report("%.1f calls an hour and laptop", float64(f.count.all())/float64(len(f.members)))
}

// apiDown: AWS answers nobody for an hour. Meanwhile every tenth laptop gets another address.
func apiDown(f *fleet) {
	f.settled()
	f.count.reset()
	f.wire.down.Store(true)
	moved := 0
	for i, m := range f.members {
		if i%10 == 0 {
			moved++
			time.AfterFunc(spreadOver(time.Hour, i, len(f.members)), func() { m.move(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})) })
		}
	}
	time.Sleep(time.Hour)
	f.wire.down.Store(false)
	f.restart() // what they waited for while nobody could help them does not count
	f.await("access after the outage", 8*time.Hour, allowance(moved*fleetWhole/len(f.members), 50, 5))
}

// officeMoves: a twentieth of the company sits behind one address, and gets another.
func officeMoves(f *fleet) {
	office := f.members[:max(len(f.members)/20, 2)]
	for _, m := range office {
		m.addr = netip.MustParseAddr("203.0.113.10")
	}
	f.settled()
	f.count.reset()
	for i, m := range office { // each computer notices by itself, within an interval
		time.AfterFunc(spreadOver(ipwatch.DefaultInterval, i, len(office)), func() { m.move(netip.MustParseAddr("203.0.113.11")) })
	}
	f.await("access after the office moved", 8*time.Hour, allowance(fleetWhole/20/perCluster, 50, 5))
}

// homeAddr is an address that only this laptop has.
func homeAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 88, byte(i >> 8), byte(i)}) }

// spreadOver is when the i-th of n acts.
func spreadOver(d time.Duration, i, n int) time.Duration {
	return d * time.Duration(i) / time.Duration(n)
}

// allowance is how long n calls take that a bucket lets through: nobody can be quicker.
func allowance(n, burst, rate int) time.Duration {
	return time.Duration(max(n-burst, 0)) * time.Second / time.Duration(rate)
}

func (f *fleet) report(format string, args ...any) { f.t.Logf(format, args...) }
