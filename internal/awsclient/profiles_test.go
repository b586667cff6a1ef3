package awsclient_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

func TestProfiles(t *testing.T) {
	isolate(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config": "[default]\nregion=eu-west-1\n[profile work]\n [ profile  spaced ]\n[sso-session corp]\n[services x]\n[profile tool]\ncredential_process = ask me\n[profile half\nx=[profile no]\n",
		"creds":  "[old]\naws_access_key_id=AKIDTEST\naws_secret_access_key=s\n[work]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "creds"))
	if got := awsclient.Profiles(); !slices.Equal(got, []string{"default", "old", "spaced", "tool", "work"}) {
		t.Errorf("%q", got)
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "none"))
	if got := awsclient.Profiles(); !slices.Equal(got, []string{"old", "work"}) {
		t.Errorf("%q", got)
	}
	for profile, want := range map[string]bool{"old": true, "typo": false} {
		if got := awsclient.Unattended(t.Context(), awsclient.Options{Profile: profile, Region: "eu-west-1"}); got != want {
			t.Errorf("%s: %v", profile, got)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "tool"))
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("[profile tool]\ncredential_process = ask me\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if awsclient.Unattended(t.Context(), awsclient.Options{Profile: "tool", Region: "eu-west-1"}) {
		t.Error("a program may ask")
	}
}
