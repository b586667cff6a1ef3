package awsclient_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

func TestDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[profile work]\nregion = eu-west-1\n[default]\nregion = us-west-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	for _, v := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"} {
		t.Setenv(v, "")
	}
	for _, tt := range []struct {
		env             map[string]string
		o               awsclient.Options
		profile, region string
	}{
		{nil, awsclient.Options{}, "", "us-west-2"},
		{map[string]string{"AWS_PROFILE": "work"}, awsclient.Options{}, "work", "eu-west-1"},
		{nil, awsclient.Options{Profile: "work"}, "work", "eu-west-1"},
		{map[string]string{"AWS_REGION": "eu-north-1"}, awsclient.Options{Profile: "work"}, "work", "eu-north-1"},
		{map[string]string{"AWS_REGION": "eu-north-1"}, awsclient.Options{Region: "sa-east-1"}, "", "sa-east-1"},
		{map[string]string{"AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "AKIA"}, awsclient.Options{}, "", "eu-west-1"},
	} {
		for k, v := range tt.env {
			t.Setenv(k, v)
		}
		profile, region, err := awsclient.Defaults(t.Context(), tt.o)
		if err != nil || profile != tt.profile || region != tt.region {
			t.Errorf("%v %+v: %q %q %v, want %q %q", tt.env, tt.o, profile, region, err, tt.profile, tt.region)
		}
		for k := range tt.env {
			t.Setenv(k, "")
		}
	}
}
