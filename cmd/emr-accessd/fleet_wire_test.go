package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// fleetWire is the way to AWS, with the throttling of an account in a region: a bucket for each API that all users share
// ("Request throttling for the Amazon EC2 API": bucket size and refill rate a second; "Amazon EMR endpoints and quotas", where
// the defaults of Service Quotas are much lower, and all calls to EMR share one more bucket).
type fleetWire struct {
	down  atomic.Bool
	calm  atomic.Bool // nobody is throttled: what comes before a story
	count *fleetCount
	scale float64 // of the buckets

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	size, rate, left float64
	at               time.Time
}

// fleetWhole is the number of installations that the buckets are for: a smaller fleet gets its share of them, so that it
// fares as the whole one does.
const fleetWhole = 10000

func newFleetWire(c *fleetCount, n int) *fleetWire {
	return &fleetWire{count: c, buckets: map[string]*bucket{}, scale: float64(n) / fleetWhole}
}

// limitOf is the bucket of an API.
func limitOf(action string) (size, rate float64) {
	switch action {
	case "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "ModifySecurityGroupRules":
		return 50, 5
	case "CreateTags", "DeleteTags":
		return 100, 10
	case "DescribeCluster":
		return 10, 1 // L-81AF5123, L-D74118B4
	case "ListInstances":
		return 10, 0.5
	case "ListClusters":
		return 20, 0.5
	case allEMR:
		return 25, 5
	}
	return 100, 20
}

// allEMR is the bucket of all calls to EMR.
const allEMR = "EMR"

// admits takes a token of an API's bucket, and of EMR's.
func (w *fleetWire) admits(action string, emr bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.take(action) && (!emr || w.take(allEMR))
}

func (w *fleetWire) take(action string) bool {
	b := w.buckets[action]
	if b == nil {
		size, rate := limitOf(action)
		size, rate = max(size*w.scale, 1), rate*w.scale
		b = &bucket{size: size, rate: rate, left: size, at: time.Now()}
		w.buckets[action] = b
	}
	now := time.Now()
	b.left = min(b.size, b.left+now.Sub(b.at).Seconds()*b.rate)
	if b.at = now; b.left < 1 {
		return false
	}
	b.left--
	return true
}

// memberWire is one laptop's.
type memberWire struct {
	m    *member
	next http.RoundTripper
}

func (w memberWire) RoundTrip(r *http.Request) (*http.Response, error) {
	action, err := actionOf(r)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "AKIAFLEET", w.m.key, 1)) // nobody checks the signature
	if err := hold(r, 60*time.Millisecond); err != nil {
		return nil, err
	}
	wire := w.m.wire
	write := !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "List") && !strings.HasPrefix(action, "Get")
	switch {
	case wire.down.Load():
		wire.count.add(action, "down")
		return answer(r, http.StatusServiceUnavailable, "ServiceUnavailable"), nil
	case action != "GetCallerIdentity" && !wire.calm.Load() && !wire.admits(action, r.Header.Get("X-Amz-Target") != ""):
		wire.count.add(action, "throttled")
		return answer(r, http.StatusServiceUnavailable, "RequestLimitExceeded"), nil
	}
	wire.count.add(action, "done")
	resp, err := w.next.RoundTrip(r)
	if write {
		w.m.wrote(w.m)
	}
	if err != nil {
		return nil, err
	}
	if err := hold(r, 40*time.Millisecond); err != nil {
		return nil, err
	}
	return resp, nil
}

// actionOf reads what a request asks for, and leaves it as it was.
func actionOf(r *http.Request) (string, error) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, action, _ := strings.Cut(target, ".")
		return action, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	return form.Get("Action"), err
}

func hold(r *http.Request, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// answer is a refusal in the form of the service.
func answer(r *http.Request, status int, code string) *http.Response {
	body := fmt.Sprintf(`<Response><Errors><Error><Code>%s</Code><Message>no</Message></Error></Errors><RequestID>r</RequestID></Response>`, code)
	if r.Header.Get("X-Amz-Target") != "" {
		status, body = http.StatusBadRequest, `{"__type":"ThrottlingException","message":"Rate exceeded"}`
		if code == "ServiceUnavailable" {
			status, body = http.StatusServiceUnavailable, `{"__type":"InternalServerException","Message":"down"}`
		}
	}
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}, Body: io.NopCloser(strings.NewReader(body))}
}

// fleetCount is how often what was answered.
type fleetCount struct {
	mu    sync.Mutex
	calls map[string]map[string]int // action → outcome
	since time.Time
}

func newFleetCount() *fleetCount {
	c := &fleetCount{}
	c.reset()
	return c
}

func (c *fleetCount) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.since = map[string]map[string]int{}, time.Now()
}

func (c *fleetCount) add(action, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[action] == nil {
		c.calls[action] = map[string]int{}
	}
	c.calls[action][outcome]++
}

// all is the number of calls, refused or not.
func (c *fleetCount) all() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, by := range c.calls {
		for _, k := range by {
			n += k
		}
	}
	return n
}

// done is the number of calls of an action that were not refused.
func (c *fleetCount) done(action string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[action]["done"]
}

func (c *fleetCount) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "calls in %v:", time.Since(c.since).Round(time.Second))
	for _, action := range slices.Sorted(maps.Keys(c.calls)) {
		by := c.calls[action]
		fmt.Fprintf(&b, "\n  %-32s %7d done %7d throttled", action, by["done"], by["throttled"])
		if by["down"] > 0 {
			fmt.Fprintf(&b, " %7d while down", by["down"])
		}
	}
	return b.String()
}
