package awssim_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// codes returns the codes of all calls, in order.
func codes(sim *awssim.Sim) (out []string) {
	for _, c := range sim.Calls() {
		out = append(out, c.Code)
	}
	return out
}

func describeRulesOf(t *testing.T, m memory) error {
	_, err := m.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{})
	return err
}

func TestFaultHitsSomeRequestsOfItsAction(t *testing.T) {
	m := newMemory(awssim.Options{})
	m.sim.Inject(awssim.Fault{Action: "ec2:DescribeSecurityGroupRules", After: 1, Times: 2, Code: "RequestLimitExceeded", Message: "slow down"})
	for i, want := range []string{"", "RequestLimitExceeded", "RequestLimitExceeded", "", ""} {
		if _, err := m.emr.ListClusters(t.Context(), nil); err != nil {
			t.Errorf("another action is hit: %v", err)
		}
		err := describeRulesOf(t, m)
		if want == "" && err != nil {
			t.Errorf("request %d: %v", i, err)
		} else if want != "" {
			wantCode(t, err, want)
		}
	}
	equal(t, "status", m.sim.Calls()[3].Status, 503)
}

func TestFaultsQueue(t *testing.T) {
	m := newMemory(awssim.Options{})
	m.sim.Inject(awssim.Fault{Times: 1, Code: "InternalError"})
	m.sim.Inject(awssim.Fault{Times: 2, After: 1, Code: "Unavailable"})
	for range 5 {
		_ = describeRulesOf(t, m)
	}
	equal(t, "codes", strings.Join(codes(m.sim), " "), "InternalError  Unavailable Unavailable ")
}

func TestFaultWithoutEndAndClear(t *testing.T) {
	m := newMemory(awssim.Options{})
	m.sim.Inject(awssim.Fault{Code: "InternalError"})
	for range 3 {
		wantCode(t, describeRulesOf(t, m), "InternalError")
	}
	_, err := m.emr.ListClusters(t.Context(), nil)
	wantCode(t, err, "InternalError")
	m.sim.ClearFaults()
	check(t, describeRulesOf(t, m))
}

func TestFaultOfOnePrincipal(t *testing.T) {
	m := newMemory(awssim.Options{})
	m.sim.Inject(awssim.Fault{AccessKey: "AKIASOMEBODYELSE0000", Code: "InternalError"})
	check(t, describeRulesOf(t, m))
}

// What a page of HTML in the place of an answer is to the SDK. It never has a code of AWS; but with status 200 the EC2
// client takes it for an empty answer, and only the missing request id tells.
func TestRawBody(t *testing.T) {
	m := newMemory(awssim.Options{})
	m.sim.Inject(awssim.Fault{RawBody: "<html>Service Unavailable</html>"})
	wantCode(t, describeRulesOf(t, m), "UnknownError")
	_, err := m.sts.GetCallerIdentity(t.Context(), nil)
	wantCode(t, err, "UnknownError")
	if _, err = m.emr.ListClusters(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "deserialization failed") {
		t.Errorf("EMR: %v", err)
	}
	equal(t, "status", m.sim.Calls()[0].Status, 503)
	equal(t, "code", m.sim.Calls()[0].Code, "RawBody")

	m.sim.ClearFaults()
	m.sim.Inject(awssim.Fault{RawBody: "<html>Please sign in</html>", Status: 200})
	out, err := m.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{})
	check(t, err)
	id, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	if len(out.SecurityGroupRules) != 0 || id != "" {
		t.Errorf("answer is %+v with request id %q", out, id)
	}
	m.sim.ClearFaults()
	out, err = m.ec2.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{})
	check(t, err)
	if id, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata); id == "" {
		t.Error("a real answer has no request id")
	}
}

func TestDropsInMemory(t *testing.T) {
	m := newMemory(awssim.Options{})
	for _, after := range []bool{false, true} {
		m.sim.Inject(awssim.Fault{Times: 1, DropBefore: !after, DropAfter: after})
		_, err := m.tryAuthorize(t, m.groupID, ssh("203.0.113.1/32", ""))
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("got %v, want a *net.OpError", err)
		}
		want := 0
		if after {
			want = 1
		}
		equal(t, "rules", len(m.sim.Rules(m.groupID)), want)
	}
	calls := m.sim.Calls()
	equal(t, "status of the request without effect", calls[0].Status, 0)
	equal(t, "status of the request with effect", calls[1].Status, 200)
	if !calls[0].Dropped || !calls[1].Dropped {
		t.Errorf("calls are %+v", calls)
	}
}

func TestDropsOverASocket(t *testing.T) {
	sim := awssim.New(awssim.Options{})
	server := httptest.NewServer(sim)
	defer server.Close()
	vpc := sim.AddVPC(false)
	group := sim.AddGroup(vpc, "g", "g")
	w := &world{ec2: ec2.NewFromConfig(clientConfig(server.URL, "AKIA"))}
	sim.Inject(awssim.Fault{Times: 1, DropAfter: true})
	_, err := w.tryAuthorize(t, group, ssh("203.0.113.1/32", ""))
	if !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end of the connection", err)
	}
	equal(t, "rules", len(sim.Rules(group)), 1)
}

// A lost answer and the SDK's retry turn a success into a Duplicate: clients have to know.
func TestLostAnswerAndRetryEndInADuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(awssim.Options{}, retrying)
		m.sim.Inject(awssim.Fault{Times: 1, DropAfter: true})
		_, err := m.tryAuthorize(t, m.groupID, ssh("203.0.113.1/32", ""))
		wantCode(t, err, "InvalidPermission.Duplicate")
		equal(t, "rules", len(m.sim.Rules(m.groupID)), 1)
	})
}

func retrying(cfg *aws.Config) {
	cfg.Retryer = func() aws.Retryer { return retry.NewStandard() }
}

func TestThrottleIsRetriedInTheBubble(t *testing.T) {
	began := realNow()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(awssim.Options{}, retrying)
		m.sim.Inject(awssim.Fault{Times: 2, Code: "RequestLimitExceeded", Latency: 10 * time.Minute})
		start := time.Now()
		check(t, describeRulesOf(t, m))
		if calls := codes(m.sim); len(calls) != 3 || calls[0] != "RequestLimitExceeded" || calls[2] != "" {
			t.Errorf("calls are %q", calls)
		}
		if d := time.Since(start); d <= 20*time.Minute {
			t.Errorf("it took %v by the bubble's clock", d)
		}
		equal(t, "the Sim's clock is the bubble's", m.sim.Calls()[0].At.Equal(start), true)
	})
	if d := realNow().Sub(began); d > time.Minute {
		t.Errorf("it took %v", d)
	}
}

// realNow is called outside of bubbles only.
func realNow() time.Time { return time.Now() }

func TestLatencyEndsWithTheContextAndHasNoEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(awssim.Options{})
		m.sim.Inject(awssim.Fault{Latency: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := m.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: &m.groupID, CidrIp: aws.String("203.0.113.1/32"), IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22),
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		equal(t, "time", time.Since(start), 5*time.Second)
		equal(t, "rules", len(m.sim.Rules(m.groupID)), 0)
	})
}

func TestAnswerLatencyComesAfterTheEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(awssim.Options{})
		m.sim.Inject(awssim.Fault{AnswerLatency: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := m.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: &m.groupID, CidrIp: aws.String("203.0.113.1/32"), IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22),
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		equal(t, "rules", len(m.sim.Rules(m.groupID)), 1)
	})
}

func TestCancelledRequestIsNotSent(t *testing.T) {
	m := newMemory(awssim.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.ec2.DescribeVpcs(ctx, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://aws.example/", nil)
	check(t, err)
	if _, err := m.sim.Client().Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("without the SDK: %v", err)
	}
	equal(t, "calls", len(m.sim.Calls()), 0)
}
