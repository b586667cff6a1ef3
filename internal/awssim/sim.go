package awssim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Options are the fixed properties of a simulated region. The zero Options are usable.
type Options struct {
	// Account is the id of the account that owns everything; "" means 123456789012.
	Account string
	// Region is the region's name; "" means us-east-1. EC2 and EMR requests that are signed for another
	// region are refused, as a real endpoint does.
	Region string
	// Now is AWS's clock: the Date header, creation times, lag and the end of assumed roles follow it.
	// nil means time.Now.
	Now func() time.Time
	// RuleQuota is the number of ingress rules that a group may have in each address family; 0 means 60
	// (Amazon VPC quotas, "Inbound or outbound rules per security group").
	RuleQuota int
}

// Sim is a simulated region. Its methods and its handler may be used concurrently.
//
// The Add… methods seed the world without the checks that the API makes. They panic when they are given
// something that cannot exist (an unknown group, a CIDR that is none): that is a mistake in the seeding program.
type Sim struct {
	opts       Options
	operations map[string]operation // by "ec2:DescribeVpcs"; never changed after New

	mu          sync.Mutex
	serial      int // of the last id made
	requests    int // answered so far
	vpcs        map[string]*vpc
	subnets     map[string]*subnet
	acls        map[string]*networkACL
	tables      map[string]*routeTable
	groups      map[string]*group
	rules       map[string]rule // the truth; values are never changed in place
	view        view            // what Describe shows of rules
	prefixLists map[string]*prefixList
	keyPairs    map[string]keyPair // by name
	clusters    map[string]*cluster
	nodes       map[string]*Node // by instance id
	publicBlock publicBlock
	principals  map[string]Principal // by access key
	calls       []*Call
	faults      []*fault
}

// New returns a region with nothing in it: no VPC, no group, no cluster.
func New(o Options) *Sim {
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RuleQuota == 0 {
		o.RuleQuota = 60
	}
	s := &Sim{
		opts:        o,
		vpcs:        map[string]*vpc{},
		subnets:     map[string]*subnet{},
		acls:        map[string]*networkACL{},
		tables:      map[string]*routeTable{},
		groups:      map[string]*group{},
		rules:       map[string]rule{},
		view:        newView(),
		prefixLists: map[string]*prefixList{},
		keyPairs:    map[string]keyPair{},
		clusters:    map[string]*cluster{},
		nodes:       map[string]*Node{},
		publicBlock: defaultPublicBlock(),
		principals:  map[string]Principal{},
	}
	s.operations = s.makeOperations()
	return s
}

// Options returns the options with their defaults filled in.
func (s *Sim) Options() Options { return s.opts }

// newID makes an id like AWS's: the prefix and 17 hex digits. Ids repeat from run to run, so that a test's
// output does too, but their order says nothing about the order of creation, as on AWS.
func (s *Sim) newID(prefix string) string {
	return prefix + s.digits()[:17]
}

// digits returns 64 hex digits that differ with each call, account and region.
func (s *Sim) digits() string {
	s.serial++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", s.opts.Account, s.opts.Region, s.serial))
	return hex.EncodeToString(sum[:])
}

// upperID makes an id of upper-case letters and digits (clusters, access keys).
func (s *Sim) upperID(prefix string, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	sum := sha256.Sum256([]byte(s.digits()))
	id := make([]byte, n)
	for i := range id {
		id[i] = alphabet[int(sum[i])%len(alphabet)]
	}
	return prefix + string(id)
}

// roleID is the id of a role, the same each time (AROA…).
func (s *Sim) roleID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "AROA" + strings.ToUpper(hex.EncodeToString(sum[:]))[:17]
}

// arn returns the name of a resource of this account and region.
func (s *Sim) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, s.opts.Region, s.opts.Account, resource)
}
