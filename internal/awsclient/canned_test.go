package awsclient_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

const (
	testGroup   = "sg-0123456789abcdef0"
	testRule    = "sgr-0123456789abcdef0"
	testCluster = "j-1ABCDEFGHIJKL"
)

// isolate takes the machine's own AWS settings away and returns an empty home folder.
func isolate(t testing.TB) (home string) {
	t.Helper()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that it is restored
			os.Unsetenv(name)
		}
	}
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	return home
}

// putFile writes a file under a home folder.
func putFile(t *testing.T, home, name, content string) {
	t.Helper()
	name = filepath.Join(home, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// staticKeys makes the environment name keys and a region.
func staticKeys(t testing.TB) {
	t.Helper()
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
	t.Setenv("AWS_REGION", "eu-west-1")
}

// answer is a canned HTTP answer.
type answer struct {
	status int    // 0 is 200
	kind   string // Content-Type
	body   string
	date   time.Time // zero: no Date header
	err    error     // instead of an answer
}

func xmlAnswer(body string) answer { return answer{kind: "text/xml;charset=UTF-8", body: body} }
func jsonAnswer(body string) answer {
	return answer{kind: "application/x-amz-json-1.1", body: body}
}

// ec2Error has the form of EC2's errors.
func ec2Error(status int, code, msg string) answer {
	a := xmlAnswer(fmt.Sprintf("<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>r</RequestID></Response>", code, msg))
	a.status = status
	return a
}

// stsError has the form of STS's errors.
func stsError(status int, code, msg string) answer {
	a := xmlAnswer(fmt.Sprintf("<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>", code, msg))
	a.status = status
	return a
}

// emrError has the form of EMR's errors.
func emrError(status int, code, msg string) answer {
	a := jsonAnswer(fmt.Sprintf(`{"__type":%q,"Message":%q}`, code, msg))
	a.status = status
	return a
}

const stsOK = `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/alice</Arn><UserId>AIDATEST</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`

// canned answers requests from lists by action; the last answer of a list repeats. It keeps what was sent.
type canned struct {
	mu      sync.Mutex
	answers map[string][]answer
	sent    []sentRequest
}

type sentRequest struct {
	action string
	host   string
	agent  string
	form   url.Values
	body   string
}

// newCanned knows GetCallerIdentity only.
func newCanned() *canned {
	return &canned{answers: map[string][]answer{"GetCallerIdentity": {xmlAnswer(stsOK)}}}
}

func (c *canned) on(action string, list ...answer) *canned {
	c.answers[action] = list
	return c
}

// Do implements awsclient.Doer.
func (c *canned) Do(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	if target := req.Header.Get("X-Amz-Target"); target != "" {
		_, action, _ = strings.Cut(target, ".")
	}
	if action == "" {
		action = req.URL.Path // SSO's REST calls
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, sentRequest{action: action, host: req.URL.Host, agent: req.UserAgent(), form: form, body: string(body)})
	list := c.answers[action]
	if len(list) == 0 {
		return nil, fmt.Errorf("no answer is canned for %q", action)
	}
	a := list[0]
	if len(list) > 1 {
		c.answers[action] = list[1:]
	}
	if a.err != nil {
		return nil, a.err
	}
	resp := &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {a.kind}}, Request: req,
		Body: io.NopCloser(bytes.NewBufferString(a.body)), ContentLength: int64(len(a.body)),
	}
	if a.status == 0 {
		resp.StatusCode = http.StatusOK
	}
	if !a.date.IsZero() {
		resp.Header.Set("Date", a.date.UTC().Format(http.TimeFormat))
	}
	return resp, nil
}

// actions lists what was sent.
func (c *canned) actions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for _, s := range c.sent {
		list = append(list, s.action)
	}
	return list
}

// last returns the last request.
func (c *canned) last(t *testing.T) sentRequest {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sent) == 0 {
		t.Fatal("nothing was sent")
	}
	return c.sent[len(c.sent)-1]
}

// open opens a client on canned answers with keys from the environment.
func open(t *testing.T, c *canned) *awsclient.Client {
	t.Helper()
	staticKeys(t)
	client, err := awsclient.Open(t.Context(), awsclient.Options{HTTPClient: c})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(client.Close)
	return client
}

// wantKind fails unless err is an *awsclient.Error of the kind, and returns it.
func wantKind(t *testing.T, err error, want awsclient.Kind) *awsclient.Error {
	t.Helper()
	got, ok := awsclient.KindOf(err)
	if !ok || got != want {
		t.Fatalf("kind = %v (%v), want %v; error: %v", got, ok, want, err)
	}
	var e *awsclient.Error
	if !asError(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	return e
}
