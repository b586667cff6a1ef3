package awsclient_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// regions answers each request by the region that its host names, and with an error where there is none.
type regions struct {
	sims map[string]*awssim.Sim

	mu    sync.Mutex
	hosts []string
}

func (r *regions) Do(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.hosts = append(r.hosts, req.URL.Host)
	r.mu.Unlock()
	for name, sim := range r.sims {
		if strings.Contains(req.URL.Host, "."+name+".") {
			return sim.Client().Do(req)
		}
	}
	return nil, errors.New("no such host")
}

// A cluster of another region is found where it is: the request goes to that region's endpoint, signed for it.
func TestSeek(t *testing.T) {
	staticKeys(t)
	synctest.Test(t, func(t *testing.T) {
		here, there := newSimWorld(), awssim.New(awssim.Options{Account: "111122223333", Region: "us-west-2"})
		group := there.AddGroup(there.AddVPC(false), "g", "g")
		id := there.AddCluster(awssim.ClusterSpec{MasterGroup: group})
		d := &regions{sims: map[string]*awssim.Sim{"eu-west-1": here.Sim, "us-west-2": there}}
		c := openOn(t, d)
		if got := c.Seek(t.Context(), id, awsclient.DefaultRegions()); !slices.Equal(got, []string{"us-west-2"}) {
			t.Errorf("found in %v, asked %v", got, d.hosts)
		}
		if got := c.Seek(t.Context(), "j-NOSUCHCLUSTER", []string{"us-west-2"}); got != nil {
			t.Errorf("found in %v", got)
		}
		n := len(d.hosts)
		if got := c.Seek(t.Context(), "../x", []string{"us-west-2"}); got != nil || len(d.hosts) != n {
			t.Errorf("found in %v, after %v", got, d.hosts[n:])
		}
		there.Inject(awssim.Fault{Latency: time.Hour})
		begin := time.Now()
		if got := c.Seek(t.Context(), id, []string{"us-west-2"}); got != nil || time.Since(begin) > 10*time.Second {
			t.Errorf("found in %v after %v", got, time.Since(begin))
		}
		c.Close()
	})
}

func TestSignIn(t *testing.T) {
	staticKeys(t)
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld()
		c := openOn(t, w.Client())
		if s := c.SignIn(); !strings.Contains(s.From, "AWS_ACCESS_KEY_ID in the environment") || !s.Expires.IsZero() {
			t.Errorf("%+v", s)
		}
		if ahead, ok := c.Clock(); !ok || ahead.Abs() > time.Second {
			t.Errorf("ahead by %v, %v", ahead, ok)
		}
		c.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Add(-20 * time.Minute) // AWS's clock is behind
		sim := awssim.New(awssim.Options{Region: "eu-west-1", Now: func() time.Time { return begin }})
		c := openOn(t, sim.Client())
		if ahead, ok := c.Clock(); !ok || ahead < 19*time.Minute || ahead > 21*time.Minute {
			t.Errorf("ahead by %v, %v", ahead, ok)
		}
		sim.Inject(awssim.Fault{Code: "RequestExpired"})
		_, err := c.Group(t.Context(), "sg-00000000")
		if ahead, ok := awsclient.ClockOf(err); !ok || ahead < 19*time.Minute {
			t.Errorf("ahead by %v, %v", ahead, ok)
		}
		c.Close()
	})
}

// What the credentials come from is told, and nothing of what is secret.
func TestSignInOfProfiles(t *testing.T) {
	staticKeys(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	file := filepath.Join(t.TempDir(), "config")
	text := "[profile base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=hunter2\n[profile admin]\nsource_profile=base\nrole_arn=arn:aws:iam::111122223333:role/admin\nrole_session_name=alice\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	for profile, want := range map[string]string{"base": `the profile "base" (access key in the AWS files)`,
		"admin": `the profile "admin" (access key in the AWS files of "base", then the role arn:aws:iam::111122223333:role/admin)`} {
		w := newSimWorld()
		c, err := awsclient.Open(t.Context(), awsclient.Options{Profile: profile, HTTPClient: w.Client()})
		if err != nil {
			t.Fatal(err)
		}
		s := c.SignIn()
		if s.From != want || strings.Contains(s.From, "hunter2") || (profile == "admin") == s.Expires.IsZero() {
			t.Errorf("%s: %+v", profile, s)
		}
		c.Close()
	}
}
