//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// accessKey is the program's, see netlab.World.Environ.
const accessKey = "AKIALAB"

// cloud does a fault to AWS.
func (l *laptop) cloud(ctx context.Context, f fault) error {
	sim := l.Cloud.Sim
	defer func() { sim.ResetCalls() }() // nobody reads them
	some := time.Duration(f.N%1000) * time.Millisecond
	switch f.Kind {
	case "throttled":
		sim.Inject(awssim.Fault{Code: "RequestLimitExceeded", Message: "Request limit exceeded."})
	case "error 500":
		sim.Inject(awssim.Fault{Code: "InternalError", Status: 500})
	case "lost before the effect":
		sim.Inject(awssim.Fault{DropBefore: true})
	case "answer lost after the effect":
		if f.N%4 == 0 {
			sim.Inject(awssim.Fault{DropAfter: true})
			break
		}
		for _, action := range []string{"AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules", "RevokeSecurityGroupIngress", "CreateTags", "DeleteTags"} {
			sim.Inject(awssim.Fault{Action: action, DropAfter: true})
		}
	case "API slow":
		sim.Inject(awssim.Fault{Latency: 3 * some, AnswerLatency: some})
	case "API says HTML":
		sim.Inject(awssim.Fault{RawBody: "<html><body>Please sign in</body></html>", Status: 200 + int(f.N%2)*303})
	case "credentials expired":
		sim.AddPrincipal(accessKey, awssim.Principal{Expired: true})
		defer sim.AddPrincipal(accessKey, awssim.Principal{})
	case "reads stale":
		sim.SetLag(time.Second + 8*some)
		defer sim.SetLag(0)
	case "AWS's clock wrong":
		skew := 10*time.Second + 200*some
		if f.N>>20%2 == 0 {
			skew = -skew
		}
		l.skew.Store(int64(skew))
		defer l.skew.Store(0)
	default:
		return errors.New("no such fault")
	}
	defer sim.ClearFaults()
	return wait(ctx, f.For)
}

// api stands before AWS: it looks at what is asked for, and gives answers another Date where AWS's clock is wrong.
func (l *laptop) api(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return // hung up
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		l.asked(body)
		for _, k := range apiKinds {
			if l.doing(k) {
				l.met(k)
			}
		}
		if skew := time.Duration(l.skew.Load()); skew != 0 {
			w = skewed{w, skew}
		}
		next.ServeHTTP(w, r)
	})
}

// asked looks at a request for rules that must not be.
func (l *laptop) asked(body []byte) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("DryRun") == "true" {
		return
	}
	action := form.Get("Action")
	if action != "AuthorizeSecurityGroupIngress" && action != "ModifySecurityGroupRules" {
		return
	}
	l.wrote()
	for name, values := range form {
		if !strings.Contains(name, "Cidr") {
			continue
		}
		for _, v := range values {
			p, err := netip.ParsePrefix(v)
			if err != nil || p.Bits() != p.Addr().BitLen() || !l.may(p.Addr()) {
				l.wrong(fmt.Sprintf("%s asked for %s", action, v))
			}
		}
	}
}

// skewed is an answer of an AWS whose clock is wrong.
type skewed struct {
	http.ResponseWriter
	by time.Duration
}

// WriteHeader implements [http.ResponseWriter].
func (s skewed) WriteHeader(status int) {
	s.Header().Set("Date", time.Now().Add(s.by).UTC().Format(http.TimeFormat))
	s.ResponseWriter.WriteHeader(status)
}
