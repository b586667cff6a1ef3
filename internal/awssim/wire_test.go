package awssim_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// signed is an Authorization header for a service; nothing checks the signature.
func signed(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"
}

// send posts a body as a service's client would.
func send(t testing.TB, sim *awssim.Sim, service, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if service != "" {
		r.Header.Set("Authorization", signed(service))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	sim.ServeHTTP(rec, r)
	resp := rec.Result()
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

func TestRefusalsOnTheWire(t *testing.T) {
	const target = "ElasticMapReduce.DescribeCluster"
	sim := awssim.New(awssim.Options{})
	group := sim.AddGroup(sim.AddVPC(false), "g", "g")
	for name, c := range map[string]struct {
		service, body, target string
		status                int
		code                  string
	}{
		"unknown EC2 action":     {"ec2", "Action=RunInstances&Version=2016-11-15", "", 400, "<Code>InvalidAction</Code>"},
		"unknown STS action":     {"sts", "Action=GetFederationToken&Version=2011-06-15", "", 400, "<Code>InvalidAction</Code>"},
		"unknown EMR operation":  {"elasticmapreduce", "{}", "ElasticMapReduce.RunJobFlow", 400, `"__type":"UnknownOperationException"`},
		"another JSON service":   {"elasticmapreduce", "{}", "Other.Thing", 400, `"__type":"UnknownOperationException"`},
		"no target":              {"elasticmapreduce", "{}", "", 400, `"__type":"UnknownOperationException"`},
		"another service":        {"s3", "", "", 400, "<Code>InvalidAction</Code>"},
		"no action":              {"ec2", "Version=2016-11-15", "", 400, "<Code>MissingAction</Code>"},
		"nothing":                {"", "", "", 400, "<Code>InvalidAction</Code>"},
		"unsigned EC2":           {"", "Action=DescribeVpcs&Version=2016-11-15", "", 403, "<Code>MissingAuthenticationToken</Code>"},
		"unsigned STS":           {"", "Action=GetCallerIdentity&Version=2011-06-15", "", 403, "<Code>MissingAuthenticationToken</Code>"},
		"unsigned EMR":           {"", "{}", target, 400, `"__type":"MissingAuthenticationTokenException"`},
		"no form":                {"ec2", "%zz", "", 400, "<Code>MalformedQueryString</Code>"},
		"parameter twice":        {"ec2", "Action=DescribeVpcs&VpcId.1=a&VpcId.1=b", "", 400, "may only be specified once"},
		"unknown parameter":      {"ec2", "Action=DescribeVpcs&Nonsense.1=x", "", 400, "The parameter Nonsense.1 is not recognized"},
		"list from zero":         {"ec2", "Action=DescribeVpcs&VpcId.0=x", "", 400, "<Code>UnknownParameter</Code>"},
		"too deep":               {"ec2", "Action=DescribeVpcs&a.b.c.d.e.f.g.h.i=x", "", 400, "<Code>UnknownParameter</Code>"},
		"no boolean":             {"ec2", "Action=DescribeVpcs&DryRun=maybe", "", 400, "<Code>InvalidParameterValue</Code>"},
		"no integer":             {"ec2", "Action=DescribeVpcs&MaxResults=1e3", "", 400, "<Code>InvalidParameterValue</Code>"},
		"no group":               {"ec2", "Action=RevokeSecurityGroupIngress", "", 400, "<Code>MissingParameter</Code>"},
		"permission of nothing":  {"ec2", "Action=AuthorizeSecurityGroupIngress&GroupId=" + group + "&IpPermissions.1.IpProtocol=tcp", "", 400, "<Code>MissingParameter</Code>"},
		"no default VPC":         {"ec2", "Action=DeleteSecurityGroup&GroupName=default", "", 400, "<Code>VPCIdNotSpecified</Code>"},
		"default group":          {"ec2", "Action=DeleteSecurityGroup&GroupId=" + "sg-zz", "", 400, "<Code>InvalidGroupId.Malformed</Code>"},
		"tag without key":        {"ec2", "Action=DeleteTags&ResourceId.1=" + group + "&Tag.1.Value=x", "", 400, "<Code>InvalidParameterValue</Code>"},
		"tags on something else": {"ec2", "Action=CreateTags&ResourceId.1=i-1&Tag.1.Key=x", "", 400, "<Code>InvalidID</Code>"},
		"no JSON":                {"elasticmapreduce", "<html>", target, 400, `"__type":"SerializationException"`},
		"JSON of another type":   {"elasticmapreduce", `{"ClusterId":7}`, target, 400, `"__type":"SerializationException"`},
		"cluster of nothing":     {"elasticmapreduce", ``, target, 400, `"ErrorCode":"NoSuchCluster"`},
		"unknown cluster state":  {"elasticmapreduce", `{"ClusterStates":["ASLEEP"]}`, "ElasticMapReduce.ListClusters", 400, `"__type":"ValidationException"`},
		"unknown marker":         {"elasticmapreduce", `{"Marker":"x"}`, "ElasticMapReduce.ListClusters", 400, `"__type":"InvalidRequestException"`},
		"huge body":              {"ec2", strings.Repeat("a", 2<<20), "", 413, "<Code>RequestEntityTooLarge</Code>"},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if c.target != "" {
				headers = []string{"X-Amz-Target", c.target}
			}
			resp, body := send(t, sim, c.service, c.body, headers...)
			if resp.StatusCode != c.status || !strings.Contains(body, c.code) {
				t.Errorf("got %d %s, want %d and %s", resp.StatusCode, body, c.status, c.code)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	c := newClock()
	sim := awssim.New(awssim.Options{Now: c.Now})
	ids := map[string]bool{}
	for _, service := range []string{"ec2", "sts", "elasticmapreduce", ""} {
		resp, _ := send(t, sim, service, "Action=X")
		equal(t, "Date", resp.Header.Get("Date"), "Sun, 22 Nov 2026 10:00:00 GMT")
		ids[resp.Header.Get("X-Amzn-Requestid")] = true
	}
	equal(t, "different request ids", len(ids), 4)
	server := httptest.NewServer(sim)
	defer server.Close()
	resp, err := http.Get(server.URL)
	check(t, err)
	resp.Body.Close()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err != nil || !date.Equal(c.Now().Truncate(time.Second)) {
		t.Errorf("over a socket the Date is %q", resp.Header.Get("Date"))
	}
}

func TestGetWithAQuery(t *testing.T) {
	sim := awssim.New(awssim.Options{})
	r := httptest.NewRequest(http.MethodGet, "/?Action=DescribeVpcs&Version=2016-11-15", nil)
	r.Header.Set("Authorization", signed("ec2"))
	rec := httptest.NewRecorder()
	sim.ServeHTTP(rec, r)
	var out struct {
		XMLName   xml.Name  `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeVpcsResponse"`
		RequestID string    `xml:"requestId"`
		Set       *struct{} `xml:"vpcSet"`
	}
	check(t, xml.Unmarshal(rec.Body.Bytes(), &out))
	if out.RequestID == "" || out.Set == nil {
		t.Errorf("answer is %s", rec.Body)
	}
}
