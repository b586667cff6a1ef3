package awsclient

import (
	"cmp"
	"path"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// origin is how credentials come about.
type origin int

const (
	fromNothing     origin = iota // nothing is configured
	fromEnvironment               // AWS_ACCESS_KEY_ID
	fromKeys                      // aws_access_key_id in a file
	fromTempKeys                  // the same with aws_session_token
	fromSSO                       // IAM Identity Center
	fromLogin                     // aws login
	fromProcess                   // credential_process
	fromWebIdentity               // a token file
	fromContainer                 // AWS_CONTAINER_CREDENTIALS_…
	fromMetadata                  // credential_source = Ec2InstanceMetadata, which is off
)

// source is where the credentials of a configuration come from. The SDK does not say, so its order is
// followed here (config, resolveCredentialChain and resolveCredsFromProfile).
type source struct {
	origin  origin
	profile string // the profile that was asked for
	base    string // the profile at the end of the source_profile chain: the one to sign in with
	process string // the program of credential_process, without its arguments: they may hold secrets
	role    string // the first role that is assumed; "" for none
	mfa     string // mfa_serial of a profile in the chain
	unused  bool   // keys or a token in the environment win over the profile
}

// describe finds the source. explicit: the profile was named by the program, not by the environment.
func describe(profile string, shared config.SharedConfig, env config.EnvConfig, explicit bool) source {
	s := source{profile: profile, base: profile}
	switch {
	case !explicit && env.Credentials.HasKeys():
		s.origin, s.unused = fromEnvironment, true
		return s
	case !explicit && env.WebIdentityTokenFilePath != "":
		s.origin, s.role, s.unused = fromWebIdentity, env.RoleARN, true
		return s
	}
	p := &shared
	for {
		s.role, s.mfa = cmp.Or(p.RoleARN, s.role), cmp.Or(s.mfa, p.MFASerial)
		if p.Source == nil {
			break
		}
		p = p.Source
	}
	s.base = cmp.Or(p.Profile, profile)
	s.origin = originOf(p, env)
	if s.origin == fromProcess {
		s.process = program(p.CredentialProcess)
	}
	return s
}

func originOf(p *config.SharedConfig, env config.EnvConfig) origin {
	switch {
	case p.Credentials.HasKeys() && p.Credentials.SessionToken != "":
		return fromTempKeys
	case p.Credentials.HasKeys():
		return fromKeys
	case p.CredentialSource == "Environment":
		return fromEnvironment
	case p.CredentialSource == "EcsContainer":
		return fromContainer
	case p.CredentialSource != "":
		return fromMetadata
	case p.WebIdentityTokenFile != "":
		return fromWebIdentity
	case p.SSOSession != nil || p.SSOSessionName != "" || p.SSOStartURL != "" || p.SSOAccountID != "":
		return fromSSO
	case p.LoginSession != "":
		return fromLogin
	case p.CredentialProcess != "":
		return fromProcess
	case env.ContainerCredentialsRelativePath != "" || env.ContainerCredentialsEndpoint != "":
		return fromContainer
	default:
		return fromNothing
	}
}

// identityProfile is the profile to show for the identity; "" when the environment was used in its place.
func (s source) identityProfile() string {
	if s.unused {
		return ""
	}
	return s.profile
}

// program returns the name of the program of a command line.
func program(command string) string {
	command = strings.TrimSpace(command)
	word, _, _ := strings.Cut(command, " ")
	if rest, ok := strings.CutPrefix(command, `"`); ok {
		word, _, _ = strings.Cut(rest, `"`)
	}
	return clean(path.Base(strings.ReplaceAll(word, `\`, "/")), maxCode)
}

// plainWord is what no shell interprets.
var plainWord = regexp.MustCompile(`\A[A-Za-z0-9_./:@%+=,-]+\z`)

// shellWord quotes a word for the command line of a POSIX shell.
func shellWord(s string) string {
	s = clean(s, maxCode)
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
