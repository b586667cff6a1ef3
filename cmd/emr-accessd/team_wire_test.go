package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// teamWire holds up each call before its effect and after it. A call acts within the time of an attempt or not
// at all; its answer may be lost.
type teamWire struct {
	l    *laptop
	next http.RoundTripper
}

const wireKinds = 20

// errKilled is what a dead process would get, if it still asked.
var errKilled = errors.New("killed")

// choice is what happens next on the wire; 0 once it is calm.
func (w teamWire) choice() int {
	l := w.l
	if l.isCalm() || l.wire >= len(l.script.Wire) {
		return 0
	}
	l.wire++
	return l.script.Wire[l.wire-1]
}

// hold lets time pass, but no longer than the caller waits.
func (w teamWire) hold(r *http.Request, d time.Duration) error {
	if d >= 3*time.Second {
		w.l.locked(w.l.disturb)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.Context().Done():
		w.l.locked(w.l.disturb)
		return r.Context().Err()
	}
}

// delays of a call, by choice.
func wireDelay(choice int) time.Duration {
	switch {
	case choice < 11:
		return 20 * teamTick
	case choice < 14:
		return time.Second
	case choice < 16:
		return 3 * time.Second
	case choice < 18:
		return sgsync.AttemptTimeout - 100*teamTick
	}
	return 20 * teamTick
}

func (w teamWire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	action := form.Get("Action")
	if action == "GetCallerIdentity" {
		return w.next.RoundTrip(r)
	}
	write := !strings.HasPrefix(action, "Describe")
	if write {
		w.l.locked(func() { w.l.sends(r, form) })
	}
	before := w.choice()
	if err := w.hold(r, wireDelay(before)); err != nil {
		return nil, err
	}
	if w.died(false) {
		return nil, errKilled
	}
	if write && before >= 18 { // no effect
		w.l.locked(func() { w.l.disturb(); w.l.tell("%d: %s gets lost", w.l.index, action) })
		if before == 18 {
			return w.refused(r), nil
		}
		return nil, syscall.ECONNRESET
	}
	var lag time.Duration
	if write {
		lag = []time.Duration{0, 0, time.Second, 3 * time.Second, 6 * time.Second, 9 * time.Second}[w.choice()%6]
	}
	resp, err := w.l.acts(w.next, r, form, write, lag)
	if err != nil {
		return nil, err
	}
	if w.died(true) {
		return nil, errKilled
	}
	after := w.choice()
	if err := w.hold(r, wireDelay(after)); err != nil {
		return nil, err
	}
	if write && after >= 18 {
		w.l.locked(func() { w.l.disturb(); w.l.tell("%d: the answer to %s gets lost", w.l.index, action) })
		return nil, syscall.ECONNRESET
	}
	return resp, nil
}

// refused is EC2's answer to too many calls.
func (w teamWire) refused(r *http.Request) *http.Response {
	body := `<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>r</RequestID></Response>`
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}, Body: io.NopCloser(strings.NewReader(body))}
}

// died kills the laptop where the script says so, before the effect of a call or after it: from then on nothing
// leaves it, and what is on disk is all that is left.
func (w teamWire) died(late bool) bool {
	l := w.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return true
	}
	if late {
		l.calls++
	}
	if l.kill < 0 || l.calls*2 < l.kill || l.calm {
		return false
	}
	l.dead, l.away = true, true
	l.disk = map[string][]byte{}
	for _, name := range teamFiles {
		if data, err := os.ReadFile(l.k.Store.Path(name)); err == nil {
			l.disk[name] = data
		}
	}
	l.tell("%d is killed", l.index)
	return true
}
