package awsclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// TestCodes checks kind, sentinel and hint for the codes that the tool meets, on a write: it is sent once whatever the code.
func TestCodes(t *testing.T) {
	tests := []struct {
		code     string
		status   int
		kind     awsclient.Kind
		sentinel error
		hint     string
	}{
		{"InvalidPermission.Duplicate", 400, awsclient.Duplicate, sgsync.ErrDuplicate, ""},
		{"InvalidPermission.NotFound", 400, awsclient.Gone, sgsync.ErrGone, ""},
		{"InvalidSecurityGroupRuleId.NotFound", 400, awsclient.Gone, sgsync.ErrGone, ""},
		{"InvalidGroup.NotFound", 400, awsclient.NotFound, sgsync.ErrRefused, "region eu-west-1 of account 123456789012"},
		{"InvalidSecurityGroupID.NotFound", 400, awsclient.NotFound, sgsync.ErrRefused, "--region"},
		{"RulesPerSecurityGroupLimitExceeded", 400, awsclient.Quota, sgsync.ErrQuota, "Remove rules"},
		{"TagLimitExceeded", 400, awsclient.Quota, sgsync.ErrTagsFull, "50 tags"},
		{"UnauthorizedOperation", 403, awsclient.Denied, sgsync.ErrDenied, "ec2:AuthorizeSecurityGroupIngress on " + testGroup + ", and for ec2:CreateTags"},
		{"AccessDenied", 403, awsclient.Denied, sgsync.ErrDenied, "arn:aws:iam::123456789012:user/alice"},
		{"AuthFailure", 401, awsclient.Credentials, sgsync.ErrRefused, "region eu-west-1 may not be enabled"},
		{"RequestExpired", 400, awsclient.Credentials, sgsync.ErrRefused, "AWS_ACCESS_KEY_ID"},
		{"ExpiredTokenException", 400, awsclient.Credentials, sgsync.ErrRefused, "AWS_ACCESS_KEY_ID"},
		{"UnrecognizedClientException", 400, awsclient.Credentials, sgsync.ErrRefused, "AWS_ACCESS_KEY_ID"},
		{"RequestLimitExceeded", 503, awsclient.Throttled, sgsync.ErrRefused, "account and region together"},
		{"ThrottlingException", 400, awsclient.Throttled, sgsync.ErrRefused, "account and region together"},
		{"ConcurrentTagAccess", 400, awsclient.Throttled, sgsync.ErrRefused, ""},
		{"OptInRequired", 401, awsclient.Account, sgsync.ErrRefused, "administrator"},
		{"Blocked", 403, awsclient.Account, sgsync.ErrRefused, "AWS Support"},
		{"InternalError", 500, awsclient.Server, nil, ""},
		{"Unavailable", 503, awsclient.Server, nil, ""},
		{"SomethingNew", 502, awsclient.Server, nil, ""},
		{"SomethingNew", 429, awsclient.Throttled, sgsync.ErrRefused, ""},
		{"SomethingNew", 400, awsclient.BadRequest, sgsync.ErrRefused, ""},
		{"InvalidParameterValue", 400, awsclient.BadRequest, sgsync.ErrRefused, ""},
		{"TagPolicyViolation", 400, awsclient.BadRequest, sgsync.ErrRefused, "[rules]"},
		{"", 400, awsclient.Server, nil, ""},
	}
	sentinels := []error{sgsync.ErrDuplicate, sgsync.ErrGone, sgsync.ErrDenied, sgsync.ErrTagsFull, sgsync.ErrQuota, sgsync.ErrRefused}
	web := newCanned()
	client := open(t, web)
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %d", tt.code, tt.status), func(t *testing.T) {
			web.on("AuthorizeSecurityGroupIngress", ec2Error(tt.status, tt.code, "some text"))
			before := len(web.actions())
			_, err := client.Authorize(t.Context(), testGroup, goodRule())
			e := wantKind(t, err, tt.kind)
			if e.Op != "ec2:AuthorizeSecurityGroupIngress" || e.Resource != testGroup || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("op %q, resource %q, hint %q (want %q in it)", e.Op, e.Resource, e.Hint, tt.hint)
			}
			if tt.code != "" && e.Code != tt.code {
				t.Errorf("code %q, want %q", e.Code, tt.code)
			}
			for _, s := range sentinels {
				if got, want := errors.Is(fmt.Errorf("wrapped: %w", err), s), s == tt.sentinel; got != want { //nolint:errorlint // which of the sentinels it is
					t.Errorf("errors.Is(%v) = %v, want %v", s, got, want)
				}
			}
			if n := len(web.actions()) - before; n != 1 {
				t.Errorf("sent %d times, want once", n)
			}
		})
	}
}

// TestTransport checks what happens on the way: none of it has a code.
func TestTransport(t *testing.T) {
	tests := []struct {
		name string
		a    answer
		kind awsclient.Kind
		hint string
	}{
		{"no such host", answer{err: &url.Error{Op: "Post", URL: "https://ec2.eu-west-1.amazonaws.com/", Err: &net.DNSError{Err: "no such host", Name: "ec2.eu-west-1.amazonaws.com", IsNotFound: true}}}, awsclient.Offline, "no region eu-west-1"},
		{"refused", answer{err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}, awsclient.Offline, "HTTPS_PROXY"},
		{"dropped", answer{err: io.ErrUnexpectedEOF}, awsclient.Offline, "network"},
		{"wrong certificate", answer{err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, awsclient.Offline, "AWS_CA_BUNDLE"},
		{"html with 200", answer{kind: "text/html", body: "<html><p>Sign in<br></html>"}, awsclient.Server, "may not be AWS"},
		{"html with 503", answer{status: 503, kind: "text/html", body: "<html><p>Sorry<br></html>"}, awsclient.Server, "may not be AWS"},
		{"html with 403", answer{status: 403, kind: "text/html", body: "<html><p>Blocked by policy<br></html>"}, awsclient.Server, "may not be AWS"},
		{"redirect", answer{status: 302, kind: "text/html", body: ""}, awsclient.Server, "may not be AWS"},
		{"garbage", answer{kind: "text/xml", body: "\x00\x01\x02"}, awsclient.Server, "may not be AWS"},
		{"empty", answer{kind: "text/xml"}, awsclient.Server, ""},
		{"cut off", answer{kind: "text/xml", body: "<AuthorizeSecurityGroupIngressResponse><securityGroupRuleSet><item>"}, awsclient.Server, ""},
	}
	web := newCanned()
	client := open(t, web)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			web.on("AuthorizeSecurityGroupIngress", tt.a)
			before := len(web.actions())
			_, err := client.Authorize(t.Context(), testGroup, goodRule())
			e := wantKind(t, err, tt.kind)
			if e.Code != "" && e.Code != "UnknownError" || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("code %q, hint %q, want %q in it", e.Code, e.Hint, tt.hint)
			}
			if n := len(web.actions()) - before; n != 1 {
				t.Errorf("a write was sent %d times", n)
			}
		})
	}
}

// TestTransportEMR does the same for the JSON protocol.
func TestTransportEMR(t *testing.T) {
	tests := []struct {
		name string
		a    answer
		kind awsclient.Kind
		hint string
	}{
		{"unknown cluster", emrError(400, "InvalidRequestException", "Cluster id 'j-1ABCDEFGHIJKL' is not valid."), awsclient.NotFound, "list-clusters"},
		{"denied", emrError(400, "AccessDeniedException", "User: x is not authorized"), awsclient.Denied, "elasticmapreduce:DescribeCluster on " + testCluster},
		{"expired", emrError(400, "ExpiredTokenException", "expired"), awsclient.Credentials, "renew them"},
		{"unknown key", emrError(400, "UnrecognizedClientException", "invalid"), awsclient.Credentials, "renew them"},
		{"other", emrError(400, "ValidationException", "no"), awsclient.BadRequest, ""},
		{"html with 403", answer{status: 403, kind: "text/html", body: "<html>no</html>"}, awsclient.Server, "may not be AWS"},
		{"html with 200", answer{kind: "text/html", body: "<html>no</html>"}, awsclient.Server, "may not be AWS"},
		{"another cluster", jsonAnswer(`{"Cluster":{"Id":"j-OTHEROTHER"}}`), awsclient.Server, ""},
		{"empty object", jsonAnswer(`{}`), awsclient.Server, ""},
	}
	web := newCanned()
	client := open(t, web)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			web.on("DescribeCluster", tt.a)
			_, err := client.Cluster(t.Context(), testCluster)
			if e := wantKind(t, err, tt.kind); !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("hint %q, want %q in it", e.Hint, tt.hint)
			}
		})
	}
}

func TestErrorTextIsOneShortLine(t *testing.T) {
	web := newCanned()
	client := open(t, web)
	web.on("AuthorizeSecurityGroupIngress", ec2Error(403, "UnauthorizedOperation",
		"You are not\nauthorized.&#13; \u202eevil\u009b31m "+strings.Repeat("x", 5000)))
	_, err := client.Authorize(t.Context(), testGroup, goodRule())
	if s := err.Error(); strings.ContainsAny(s, "\n\r\u202e\u009b") || len([]rune(s)) > awsclient.MaxErrorText || !strings.Contains(s, "not authorized. evil31m xxx") {
		t.Errorf("got %q", s)
	}
	web.on("AuthorizeSecurityGroupIngress", ec2Error(403, "UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: Zm9vYmFy"))
	_, err = client.Authorize(t.Context(), testGroup, goodRule())
	const want = "no permission for ec2:AuthorizeSecurityGroupIngress on sg-0123456789abcdef0 (UnauthorizedOperation: You are not authorized to perform this operation.)"
	if err.Error() != want {
		t.Errorf("got  %q\nwant %q", err, want)
	}
}

// TestRetries: a read is tried three times, a write once; both are ended in time, and the caller's own end is told apart.
func TestRetries(t *testing.T) {
	staticKeys(t)
	synctest.Test(t, func(t *testing.T) {
		web := newCanned()
		client, err := awsclient.Open(t.Context(), awsclient.Options{HTTPClient: web})
		if err != nil {
			t.Fatal(err)
		}
		web.on("DescribeSecurityGroupRules", ec2Error(503, "RequestLimitExceeded", "slow down"))
		_, err = client.Rules(t.Context(), testGroup)
		wantKind(t, err, awsclient.Throttled)
		if got := len(web.actions()) - 1; got != 3 {
			t.Errorf("a read was sent %d times, want 3", got)
		}

		slow := &hanging{}
		start := time.Now()
		client = openOn(t, slow)
		slow.hang = true
		err = client.Revoke(t.Context(), testGroup, testRule)
		wantKind(t, err, awsclient.Offline)
		if took := time.Since(start); took != sgsync.AttemptTimeout || slow.n != 1 {
			t.Errorf("a write was ended after %v and sent %d times", took, slow.n)
		}

		start = time.Now()
		_, err = client.Rules(t.Context(), testGroup)
		wantKind(t, err, awsclient.Offline)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("a read was ended after %v", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = client.Rules(ctx, testGroup)
		wantKind(t, err, awsclient.Canceled)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not wrap the caller's error", err)
		}
	})
}

func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for k := awsclient.Credentials; k <= awsclient.Canceled; k++ {
		e := &awsclient.Error{Kind: k, Op: "ec2:X", Resource: "sg-1", Code: "C", Err: errors.New("cause")}
		text := strings.Join([]string{k.String(), e.Error()}, ": ")
		if seen[k.String()] || k.String() == "unknown" || strings.Contains(text, "failed") || !strings.Contains(text, "(C: cause)") || !strings.Contains(text, "ec2:X") {
			t.Errorf("%d: %s", k, text)
		}
		seen[k.String()] = true
		if got, ok := awsclient.KindOf(fmt.Errorf("a: %w", errors.Join(io.EOF, e))); !ok || got != k {
			t.Errorf("KindOf = %v, %v", got, ok)
		}
	}
	if k, ok := awsclient.KindOf(io.EOF); ok || k.String() != "unknown" {
		t.Errorf("KindOf(io.EOF) = %v, %v", k, ok)
	}
}

func TestCanceled(t *testing.T) {
	staticKeys(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := awsclient.Open(ctx, awsclient.Options{HTTPClient: newCanned()})
	wantKind(t, err, awsclient.Canceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap the caller's error", err)
	}
}
