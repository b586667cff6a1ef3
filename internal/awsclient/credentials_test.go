package awsclient_test

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
)

func asError(err error, target **awsclient.Error) bool { return errors.As(err, target) }

// ssoToken is where the SDK keeps the token of an sso-session or start URL.
func ssoToken(name string) string {
	sum := sha1.Sum([]byte(name))
	return ".aws/sso/cache/" + hex.EncodeToString(sum[:]) + ".json"
}

const (
	ssoSession = `[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.example/start
sso_registration_scopes = sso:account:access
[profile work]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Data
region = eu-west-1
`
	ssoLegacy = `[profile work]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = Data
region = eu-west-1
`
	roleKeys = `[base]
aws_access_key_id = AKIDBASE
aws_secret_access_key = s
`
)

func token(expires time.Time, more string) string {
	return fmt.Sprintf(`{"accessToken":"tok","expiresAt":%q,"region":"eu-west-1","startUrl":"https://corp.example/start"%s}`, expires.UTC().Format(time.RFC3339), more)
}

// TestCredentials has a case for each row of the table of observed shapes: the SDK's errors have no type in common, so
// the stage and the profile decide. Only what is canned is answered; any other request fails the case.
func TestCredentials(t *testing.T) {
	valid, old := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	const refresh = `,"refreshToken":"r","clientId":"c","clientSecret":"s","registrationExpiresAt":"2099-01-01T00:00:00Z"`
	sso := "/federation/credentials"
	tests := []struct {
		name    string
		files   map[string]string
		env     map[string]string
		profile string
		answers map[string]answer
		kind    awsclient.Kind
		op      string
		code    string
		hint    string   // part of it
		secret  string   // must not appear
		sent    []string // nil: nothing
	}{
		{
			name: "sso session, no token", files: map[string]string{".aws/config": ssoSession}, profile: "work",
			kind: awsclient.Credentials, hint: "`aws sso login --profile work`",
		},
		{
			name: "sso session, expired token", profile: "work",
			files: map[string]string{".aws/config": ssoSession, ssoToken("corp"): token(old, "")},
			kind:  awsclient.Credentials, hint: "`aws sso login --profile work`",
		},
		{
			name: "sso session, token file is garbage", profile: "work",
			files: map[string]string{".aws/config": ssoSession, ssoToken("corp"): "\x00<html>"},
			kind:  awsclient.Credentials, hint: "`aws sso login --profile work`",
		},
		{
			name: "sso session, refresh refused", profile: "work",
			files:   map[string]string{".aws/config": ssoSession, ssoToken("corp"): token(old, refresh)},
			answers: map[string]answer{"/token": {status: 400, kind: "application/json", body: `{"__type":"InvalidGrantException","error":"invalid_grant","error_description":"no"}`}},
			kind:    awsclient.Credentials, code: "InvalidGrantException", hint: "`aws sso login --profile work`", sent: []string{"/token"},
		},
		{
			name: "sso session, signed out", profile: "work",
			files:   map[string]string{".aws/config": ssoSession, ssoToken("corp"): token(valid, "")},
			answers: map[string]answer{sso: {status: 401, kind: "application/json", body: `{"__type":"UnauthorizedException","message":"Session token not found or invalid"}`}},
			kind:    awsclient.Credentials, code: "UnauthorizedException", hint: "`aws sso login --profile work`", sent: []string{sso},
		},
		{
			name: "sso session, no access to the role", profile: "work",
			files:   map[string]string{".aws/config": ssoSession, ssoToken("corp"): token(valid, "")},
			answers: map[string]answer{sso: {status: 403, kind: "application/json", body: `{"__type":"ForbiddenException","message":"No access"}`}},
			kind:    awsclient.Denied, op: "sso:GetRoleCredentials", code: "ForbiddenException", hint: "sso_role_name", sent: []string{sso},
		},
		{
			name: "sso session, offline", profile: "work",
			files:   map[string]string{".aws/config": ssoSession, ssoToken("corp"): token(valid, "")},
			answers: map[string]answer{sso: {err: &net.DNSError{Err: "no such host", Name: "portal.sso.eu-west-1.amazonaws.com", IsNotFound: true}}},
			kind:    awsclient.Offline, hint: "no network", sent: []string{sso},
		},
		{
			name: "sso session, captive portal", profile: "work",
			files:   map[string]string{".aws/config": ssoSession, ssoToken("corp"): token(valid, "")},
			answers: map[string]answer{sso: {kind: "text/html", body: "<html>sign in to the café</html>"}},
			kind:    awsclient.Server, hint: "may not be AWS", sent: []string{sso},
		},
		{
			name: "legacy sso, no token", files: map[string]string{".aws/config": ssoLegacy}, profile: "work",
			kind: awsclient.Credentials, hint: "`aws sso login --profile work`",
		},
		{
			name: "legacy sso, expired token, default profile", env: map[string]string{"AWS_REGION": "eu-west-1"},
			files: map[string]string{".aws/config": strings.Replace(ssoLegacy, "profile work", "default", 1), ssoToken("https://corp.example/start"): token(old, "")},
			kind:  awsclient.Credentials, hint: "`aws sso login`",
		},
		{
			name: "a role on top of sso: sign in with the base", profile: "admin",
			files: map[string]string{".aws/config": ssoSession + "[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = work\nregion = eu-west-1\n"},
			kind:  awsclient.Credentials, hint: "`aws sso login --profile work`",
		},
		{
			name: "role with mfa", profile: "admin",
			files: map[string]string{".aws/credentials": roleKeys, ".aws/config": "[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/alice\nregion = eu-west-1\n"},
			kind:  awsclient.Credentials, hint: "aws configure export-credentials --profile admin --format process",
		},
		{
			name: "role that may not be assumed", profile: "admin",
			files:   map[string]string{".aws/credentials": roleKeys, ".aws/config": "[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = base\nregion = eu-west-1\n"},
			answers: map[string]answer{"AssumeRole": stsError(403, "AccessDenied", "User is not authorized to perform: sts:AssumeRole")},
			kind:    awsclient.Denied, op: "sts:AssumeRole", code: "AccessDenied", hint: "trust policy", sent: []string{"AssumeRole"},
		},
		{
			name: "role that cannot be", profile: "admin",
			files:   map[string]string{".aws/credentials": roleKeys, ".aws/config": "[profile admin]\nrole_arn = arn:aws:iam::1:role/admin\nsource_profile = base\nregion = eu-west-1\n"},
			answers: map[string]answer{"AssumeRole": stsError(400, "ValidationError", "1 is not valid")},
			kind:    awsclient.BadRequest, code: "ValidationError", hint: "role_arn", sent: []string{"AssumeRole"},
		},
		{
			name: "keys of the base expired", profile: "admin",
			files:   map[string]string{".aws/credentials": roleKeys + "aws_session_token = t\n", ".aws/config": "[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = base\nregion = eu-west-1\n"},
			answers: map[string]answer{"AssumeRole": stsError(403, "ExpiredToken", "The security token included in the request is expired")},
			kind:    awsclient.Credentials, code: "ExpiredToken", hint: `Profile "base" holds temporary keys`, sent: []string{"AssumeRole"},
		},
		{
			name: "web identity", env: map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token", "AWS_REGION": "eu-west-1"},
			kind: awsclient.Credentials, hint: "web identity token",
		},
		{
			name: "container", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/creds", "AWS_REGION": "eu-west-1"},
			answers: map[string]answer{"/creds": {status: 404, kind: "application/json", body: `{"code":"NotFound","message":"no"}`}},
			kind:    awsclient.Credentials, code: "NotFound", hint: "AWS_CONTAINER_CREDENTIALS_FULL_URI", sent: []string{"/creds"},
		},
		{
			name: "credential_process fails", profile: "tool", files: map[string]string{".aws/config": "[profile tool]\ncredential_process = exit 3 # --token hunter2\nregion = eu-west-1\n"},
			kind: awsclient.Credentials, hint: `credential_process "exit"`, secret: "hunter2",
		},
		{
			name: "credential_process prints keys in the wrong form", profile: "tool",
			files: map[string]string{".aws/config": "[profile tool]\ncredential_process = echo AKIDX hunter2\nregion = eu-west-1\n"},
			kind:  awsclient.Credentials, hint: `credential_process "echo"`, secret: "hunter2",
		},
		{
			name: "aws login, no session", profile: "web", files: map[string]string{".aws/config": "[profile web]\nlogin_session = arn:aws:iam::123456789012:user/alice\nregion = eu-west-1\n"},
			kind: awsclient.Credentials, hint: "`aws login --profile web`",
		},
		{
			name: "profile missing, by option", profile: "typo", files: map[string]string{".aws/config": ssoSession},
			kind: awsclient.BadRequest, hint: "list-profiles",
		},
		{
			name: "profile missing, by environment", env: map[string]string{"AWS_PROFILE": "typo"}, files: map[string]string{".aws/config": ssoSession},
			kind: awsclient.BadRequest, hint: "list-profiles",
		},
		{
			name: "nothing at all", env: map[string]string{"AWS_REGION": "eu-west-1"},
			kind: awsclient.Credentials, hint: "No credentials are configured",
		},
		{
			name: "instance metadata is not used", profile: "ec2",
			files: map[string]string{".aws/config": "[profile ec2]\nrole_arn = arn:aws:iam::123456789012:role/x\ncredential_source = Ec2InstanceMetadata\nregion = eu-west-1\n"},
			kind:  awsclient.Credentials, hint: "instance metadata",
		},
		{
			name: "half a key", profile: "half", files: map[string]string{".aws/credentials": "[half]\naws_access_key_id = AKIDX\nregion = eu-west-1\n"},
			kind: awsclient.BadRequest, hint: "~/.aws/credentials",
		},
		{
			name: "wrong key in a file", profile: "base", files: map[string]string{".aws/credentials": roleKeys + "region = eu-west-1\n"},
			answers: map[string]answer{"GetCallerIdentity": stsError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")},
			kind:    awsclient.Credentials, op: "sts:GetCallerIdentity", code: "InvalidClientTokenId", hint: "`aws configure --profile base`", sent: []string{"GetCallerIdentity"},
		},
		{
			name: "wrong secret", profile: "base", files: map[string]string{".aws/credentials": roleKeys + "region = eu-west-1\n"},
			answers: map[string]answer{"GetCallerIdentity": stsError(403, "SignatureDoesNotMatch", "no match")},
			kind:    awsclient.Credentials, op: "sts:GetCallerIdentity", code: "SignatureDoesNotMatch", hint: "`aws configure --profile base`", sent: []string{"GetCallerIdentity"},
		},
		{
			name: "temporary keys in a file expired", profile: "base", files: map[string]string{".aws/credentials": roleKeys + "aws_session_token = t\nregion = eu-west-1\n"},
			answers: map[string]answer{"GetCallerIdentity": stsError(403, "ExpiredToken", "The security token included in the request is expired")},
			kind:    awsclient.Credentials, op: "sts:GetCallerIdentity", code: "ExpiredToken", hint: "run the tool that wrote them", sent: []string{"GetCallerIdentity"},
		},
		{
			name: "keys in the environment expired", env: map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_REGION": "eu-west-1"},
			answers: map[string]answer{"GetCallerIdentity": stsError(403, "ExpiredToken", "The security token included in the request is expired")},
			kind:    awsclient.Credentials, op: "sts:GetCallerIdentity", code: "ExpiredToken", hint: "AWS_SESSION_TOKEN", sent: []string{"GetCallerIdentity"},
		},
		{
			name: "clock", env: map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"},
			answers: map[string]answer{"GetCallerIdentity": func() answer {
				a := stsError(400, "RequestExpired", "Request has expired.")
				a.date = time.Now().Add(-40 * time.Minute)
				return a
			}()},
			kind: awsclient.Credentials, op: "sts:GetCallerIdentity", code: "RequestExpired", hint: "clock of this computer is 40m0s ahead", sent: []string{"GetCallerIdentity"},
		},
		{
			name: "no region", profile: "base", files: map[string]string{".aws/credentials": roleKeys},
			kind: awsclient.BadRequest, hint: "--region",
		},
		{
			name: "an availability zone for a region", profile: "base", files: map[string]string{".aws/credentials": roleKeys}, env: map[string]string{"AWS_REGION": "eu-west-1a"},
			kind: awsclient.BadRequest, hint: "availability zone",
		},
		{
			name: "endpoint in the clear", profile: "base", files: map[string]string{".aws/credentials": roleKeys}, env: map[string]string{"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://192.0.2.1:4566"},
			kind: awsclient.BadRequest, hint: "AWS_ENDPOINT_URL",
		},
		{
			name: "endpoint in the clear for one service", profile: "base", files: map[string]string{".aws/credentials": roleKeys}, env: map[string]string{"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_SSO": "http://sso.example"},
			kind: awsclient.BadRequest, hint: "AWS_ENDPOINT_URL",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasPrefix(tt.name, "credential_process") && runtime.GOOS == "windows" {
				t.Skip("needs a POSIX shell")
			}
			home := isolate(t)
			for name, content := range tt.files {
				putFile(t, home, name, content)
			}
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			web := &canned{answers: map[string][]answer{}}
			for k, a := range tt.answers {
				web.on(k, a)
			}
			_, err := awsclient.Open(t.Context(), awsclient.Options{Profile: tt.profile, HTTPClient: web})
			e := wantKind(t, err, tt.kind)
			if e.Op != tt.op || e.Code != tt.code {
				t.Errorf("op %q, code %q, want %q, %q", e.Op, e.Code, tt.op, tt.code)
			}
			if !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("hint %q does not contain %q", e.Hint, tt.hint)
			}
			if tt.secret != "" && strings.Contains(fmt.Sprintf("%v %+v %s", e, e.Err, e.Hint), tt.secret) {
				t.Errorf("the secret shows: %v %+v", e, e.Err)
			}
			if strings.Contains(e.Error(), "\n") || e.Error() == "" {
				t.Errorf("not one line: %q", e.Error())
			}
			if got := web.actions(); strings.Join(got, " ") != strings.Join(tt.sent, " ") {
				t.Errorf("sent %q, want %q", got, tt.sent)
			}
		})
	}
}
