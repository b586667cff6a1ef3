package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// regions that the clusters are spread over.
var regions = []string{"eu-west-1", "us-east-1", "ap-south-1"}

// cloud is simulated AWS in all regions behind one address, as far away as it is told.
type cloud struct {
	*httptest.Server
	sims  map[string]*awssim.Sim
	vpcs  map[string]string // by region
	nets  map[string]string // by region: the subnet of all nodes
	made  int               // groups
	far   atomic.Int64      // time.Duration
	bytes atomic.Int64      // of all answers
}

func newCloud() *cloud {
	c := &cloud{sims: map[string]*awssim.Sim{}, vpcs: map[string]string{}, nets: map[string]string{}}
	for _, region := range regions {
		c.sims[region] = awssim.New(awssim.Options{Region: region, RuleQuota: 1000})
		c.vpcs[region] = c.sims[region].AddVPC(false)
		c.nets[region] = c.sims[region].AddSubnet(c.vpcs[region], true)
	}
	c.Server = httptest.NewServer(c)
	return c
}

// group makes a security group in a region.
func (c *cloud) group(region string) string {
	c.made++
	return c.sims[region].AddGroup(c.vpcs[region], fmt.Sprintf("ElasticMapReduce-master-%d", c.made), "Master group for Elastic MapReduce")
}

// cluster makes a running cluster, with a group of its own, and returns its id.
func (c *cloud) cluster(region string) string {
	g := c.group(region)
	c.sims[region].AddRule(g, awssim.RuleSpec{FromPort: 8443, ToPort: 8443, CIDR: "207.171.167.25/32"})
	return c.sims[region].AddCluster(awssim.ClusterSpec{Name: "etl", MasterGroup: g, CoreGroup: g, Subnet: c.nets[region],
		Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.9", PrivateIP: fmt.Sprintf("10.20.%d.%d", c.made/250, 1+c.made%250)}}})
}

var signedFor = regexp.MustCompile(`Credential=[^/]+/[0-9]+/([a-z0-9-]+)/`)

// ServeHTTP hands a request to the region that it is signed for.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(c.far.Load()))
	region := regions[0]
	if m := signedFor.FindStringSubmatch(r.Header.Get("Authorization")); m != nil && c.sims[m[1]] != nil {
		region = m[1]
	}
	c.sims[region].ServeHTTP(&counted{w, &c.bytes}, r)
}

// counted counts the bytes of an answer.
type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// asked counts the requests since the last time, and those of them that write, and the bytes of their answers.
func (c *cloud) asked() (calls, writes, bytes int) {
	for _, sim := range c.sims {
		for _, call := range sim.Calls() {
			calls++
			if call.Write() {
				writes++
			}
		}
		sim.ResetCalls()
	}
	return calls, writes, int(c.bytes.Swap(0))
}
