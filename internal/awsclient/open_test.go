package awsclient_test

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

func TestIdentity(t *testing.T) {
	putFile(t, isolate(t), ".aws/config", "[profile work]\nregion = eu-central-1\naws_access_key_id = AKIDX\naws_secret_access_key = s\n")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	web := newCanned()
	client, err := awsclient.Open(t.Context(), awsclient.Options{Profile: "work", HTTPClient: web, UserAgent: "emr-accessd/1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	want := awsclient.Identity{
		Profile: "work", Region: "eu-central-1", Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/alice", UserID: "AIDATEST",
	}
	if got := client.Identity(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := client.EC2Host(); got != "ec2.eu-central-1.amazonaws.com:443" {
		t.Errorf("EC2Host() = %q", got)
	}
	if got := web.actions(); len(got) != 1 {
		t.Errorf("Open sent %q: one call is enough", got)
	}
	if sent := web.last(t); sent.host != "sts.eu-central-1.amazonaws.com" || !strings.Contains(sent.agent, "emr-accessd/1.2.3") {
		t.Errorf("sent to %s as %q", sent.host, sent.agent)
	}

	// Keys in the environment win over AWS_PROFILE and the default profile, not over a profile named by the program.
	client, err = awsclient.Open(t.Context(), awsclient.Options{Region: "eu-west-1", HTTPClient: web})
	if err != nil || client.Identity().Profile != "" || client.Identity().Region != "eu-west-1" {
		t.Errorf("environment: %+v, %v", client.Identity(), err)
	}
}

func TestUnstableIdentity(t *testing.T) {
	for session, want := range map[string]bool{
		"alice@example.com": false, "aws-go-sdk-1790000000000000000": true, "botocore-session-1790000000": true, "aws-sdk-java-1790000000": true,
		"1790000000000000000": true, "12345678": false, "i-0123456789abcdef0": false, "not-aws-go-sdk-1": false,
	} {
		staticKeys(t)
		web := newCanned().on("GetCallerIdentity", xmlAnswer(strings.NewReplacer(
			"arn:aws:iam::123456789012:user/alice", "arn:aws:sts::123456789012:assumed-role/Data/"+session, "AIDATEST", "AROATEST:"+session).Replace(stsOK)))
		client := openOn(t, web)
		if got := client.Identity(); got.Unstable != want || got.UserID != "AROATEST:"+session {
			t.Errorf("%s: %+v, want unstable %v", session, got, want)
		}
	}
}

func TestIdentityThatIsNone(t *testing.T) {
	staticKeys(t)
	web := newCanned().on("GetCallerIdentity", xmlAnswer("<GetCallerIdentityResponse><GetCallerIdentityResult></GetCallerIdentityResult></GetCallerIdentityResponse>"))
	_, err := awsclient.Open(t.Context(), awsclient.Options{HTTPClient: web})
	wantKind(t, err, awsclient.Server)
}

// TestOpenSeesChangedFiles: tools such as saml2aws write keys into the credentials file; the SDK reads it once per configuration.
func TestOpenSeesChangedFiles(t *testing.T) {
	home := isolate(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	key := func(id string) string {
		return "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = s\n"
	}
	var auth atomic.Value
	web := doerFunc(func(r *http.Request) (*http.Response, error) {
		auth.Store(r.Header.Get("Authorization"))
		return newCanned().Do(r)
	})
	for _, id := range []string{"AKIDFIRST", "AKIDSECOND"} {
		putFile(t, home, ".aws/credentials", key(id))
		openOn(t, web)
		if got := auth.Load().(string); !strings.Contains(got, "Credential="+id+"/") {
			t.Errorf("signed with %s, want %s", got, id)
		}
	}
	// A service may get its HOME, or the files' names, after the program has started.
	other := t.TempDir()
	putFile(t, other, "creds", key("AKIDTHIRD"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(other, "creds"))
	openOn(t, web)
	if got := auth.Load().(string); !strings.Contains(got, "Credential=AKIDTHIRD/") {
		t.Errorf("signed with %s", got)
	}
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// TestOwnTransport uses the SDK's HTTP client, with an endpoint on loopback, and closes its connections.
func TestOwnTransport(t *testing.T) {
	staticKeys(t)
	web := newCanned()
	var open atomic.Int32
	closed := make(chan struct{}, 1)
	srv := httptest.NewUnstartedServer(serve(web))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			if open.Add(-1) == 0 {
				closed <- struct{}{}
			}
		}
	}
	srv.Start()
	defer srv.Close()
	t.Setenv("AWS_ENDPOINT_URL", srv.URL+"/path")
	client, err := awsclient.Open(t.Context(), awsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(srv.URL)
	if client.Identity().Endpoint != srv.URL || client.EC2Host() != u.Host {
		t.Errorf("endpoint %q, host %q, want %q", client.Identity().Endpoint, client.EC2Host(), srv.URL)
	}
	web.on("DescribeSecurityGroupRules", page(""))
	if _, err := client.Rules(t.Context(), testGroup); err != nil {
		t.Fatal(err)
	}
	if n := open.Load(); n != 1 {
		t.Errorf("%d connections, want one for all services", n)
	}
	client.Close()
	<-closed // or the test hangs and fails
	if _, err := client.Rules(t.Context(), testGroup); err != nil {
		t.Errorf("after Close: %v", err)
	}
	client.Close()
}

// TestCABundle: the SDK's own client honours AWS_CA_BUNDLE, for all services, also where the server offers HTTP/2.
func TestCABundle(t *testing.T) {
	staticKeys(t)
	web := newCanned()
	srv := httptest.NewUnstartedServer(serve(web))
	srv.EnableHTTP2 = true // as a company's proxy that looks into TLS may offer: it must not be asked for what is not spoken
	srv.StartTLS()
	defer srv.Close()
	dir := t.TempDir()
	putFile(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(dir, "ca.pem"))
	client, err := awsclient.Open(t.Context(), awsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got := client.Identity().Endpoint; got != srv.URL {
		t.Errorf("endpoint %q, want %q: it is not AWS's", got, srv.URL)
	}
}

func serve(web *canned) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := web.Do(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})
}
