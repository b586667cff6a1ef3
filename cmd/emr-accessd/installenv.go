package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

// serviceEnv is what a service does not inherit from the shell, and needs.
var serviceEnv = []string{"PATH", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
	"AWS_CA_BUNDLE", "AWS_SDK_LOAD_CONFIG", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_EC2_METADATA_DISABLED", "AWS_STS_REGIONAL_ENDPOINTS",
	"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_EMR", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC",
	"XDG_CONFIG_HOME", "XDG_STATE_HOME", config.EnvConfig, config.EnvState, demoSource}

// ofTheMachine are those among them that are the same for every user: what root may record for somebody else.
var ofTheMachine = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE"}

// keys are never recorded.
var keys = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"}

// kept is the environment of a service.
type kept struct {
	env    map[string]string
	secret map[string]string // nobody else may read these: addresses with a password, and what only the user knows
	notes  []string          // for the user
}

// record chooses what a service needs of an environment; more are NAME=VALUE that the user named, which may be any but
// keys.
func (a *app) record(environ, more []string) (kept, error) {
	r, err := recordOf(environ, more, serviceEnv)
	if err == nil && a.flags.config != "" {
		r.env[config.EnvConfig], err = filepath.Abs(a.flags.config)
	}
	return r, err
}

func recordOf(environ, more, names []string) (kept, error) {
	r := kept{env: map[string]string{}, secret: map[string]string{}}
	all := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		all[name] = value
	}
	for _, name := range names {
		if all[name] != "" {
			r.add(name, all[name])
		}
	}
	for _, e := range more {
		name, value, ok := strings.Cut(e, "=")
		switch {
		case !ok || name == "":
			return r, usageError{fmt.Errorf("--env %q: want NAME=VALUE", e), ""}
		case slices.Contains(keys, name):
			return r, hinted{fmt.Errorf("--env %s: keys are not recorded", name), exitUsage, useProfile}
		}
		r.add(name, value)
	}
	if all["AWS_ACCESS_KEY_ID"] != "" {
		r.notes = append(r.notes, "warning: the AWS keys of this shell's environment are not passed to the service; "+useProfile)
	}
	if names := slices.Sorted(maps.Keys(r.secret)); len(names) > 0 {
		r.notes = append(r.notes, "note: "+strings.Join(names, ", ")+" may hold a password: kept in a file that only you can read")
	}
	return r, nil
}

const useProfile = "it needs a profile (aws configure, aws configure sso, aws login), written into the configuration"

func (r *kept) add(name, value string) {
	if name == "PATH" {
		var left []string
		if value, left = trustedPath(value); len(left) > 0 {
			r.notes = append(r.notes, "note: the service's PATH leaves out what is no folder of yours or the system's: "+strings.Join(left, ", "))
		}
		if value == "" { // then the service manager's own
			return
		}
	}
	delete(r.env, name)
	delete(r.secret, name)
	if !slices.Contains(serviceEnv, name) || hasUser(name, value) {
		r.secret[name] = value
		return
	}
	r.env[name] = value
}

// hasUser reports whether a value is an address with a user, and so perhaps a password. A proxy may stand there without
// a scheme, too: bob:secret@proxy:3128. What is no address for certain counts.
func hasUser(name, value string) bool {
	if u, err := url.Parse(value); err == nil && u.User != nil {
		return true
	}
	return strings.Contains(value, "@") && (strings.HasSuffix(strings.ToLower(name), "_proxy") || strings.Contains(value, "://"))
}

// trustedPath leaves out the entries of a PATH that mean another folder elsewhere, or where others could put a program.
// A folder that is not there is kept out too: whoever makes it decides what runs.
func trustedPath(path string) (trusted string, left []string) {
	var good []string
	for _, dir := range filepath.SplitList(path) {
		switch {
		case dir == "" || !filepath.IsAbs(dir):
			left = append(left, fmt.Sprintf("%q", dir))
		case slices.Contains(good, dir):
		default:
			info, err := os.Stat(dir)
			if err != nil || !info.IsDir() {
				continue
			}
			if runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
				left = append(left, dir)
				continue
			}
			good = append(good, dir)
		}
	}
	return strings.Join(good, string(filepath.ListSeparator)), left
}

// say tells the user about it.
func (r kept) say(w io.Writer) {
	for _, note := range r.notes {
		fmt.Fprintf(w, "emr-accessd: %s\n", printable(note))
	}
}
