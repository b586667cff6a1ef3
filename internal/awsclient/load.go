package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

const (
	// readAttempts is how often a read is sent at most (the SDK's standard retryer backs off in between).
	readAttempts = 3
	// readBackoff bounds the pause between two attempts: callTimeout ends all of them.
	readBackoff = 2 * time.Second
)

// loaded is the configuration of one Open.
type loaded struct {
	aws    aws.Config
	source source
	idle   func()
	calls  *atomic.Int64
}

// load reads the environment and the AWS files.
func load(ctx context.Context, o Options) (loaded, error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return loaded{}, badConfig(fmt.Errorf("the AWS settings in the environment: %w", err))
	}
	// The SDK computes its default paths once, when the program starts. A service may learn its HOME later.
	configFiles := []string{cmp.Or(env.SharedConfigFile, config.DefaultSharedConfigFilename())}
	credentialFiles := []string{cmp.Or(env.SharedCredentialsFile, config.DefaultSharedCredentialsFilename())}
	profile := cmp.Or(o.Profile, env.SharedConfigProfile, config.DefaultSharedConfigProfile)

	client, frozen := transport(o.HTTPClient)
	opts := []func(*config.LoadOptions) error{
		config.WithSharedConfigFiles(configFiles),
		config.WithSharedCredentialsFiles(credentialFiles),
		config.WithEC2IMDSClientEnableState(imds.ClientDisabled),
		config.WithLogger(logging.Nop{}),
		config.WithHTTPClient(client),
		config.WithEndpointCredentialOptions(func(eo *endpointcreds.Options) { eo.HTTPClient = client }), // else it makes one of its own
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(so *retry.StandardOptions) {
				so.MaxAttempts, so.MaxBackoff = readAttempts, readBackoff
			})
		}),
	}
	if o.UserAgent != "" {
		name, version, _ := strings.Cut(o.UserAgent, "/")
		opts = append(opts, config.WithAPIOptions([]func(*middleware.Stack) error{
			awsmiddleware.AddUserAgentKeyValue(name, version),
		}))
	}
	if o.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(o.Profile))
	}
	if o.Region != "" {
		opts = append(opts, config.WithRegion(o.Region))
	}

	// Read once more for ourselves: hints depend on how the profile gets its credentials.
	shared, sharedErr := config.LoadSharedConfigProfile(ctx, profile, func(lo *config.LoadSharedConfigOptions) {
		lo.ConfigFiles, lo.CredentialsFiles = configFiles, credentialFiles
	})
	src := describe(profile, shared, env, o.Profile != "")
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return loaded{}, loadError(src, err)
	}
	if sharedErr != nil && !isNoProfile(sharedErr) {
		return loaded{}, loadError(src, sharedErr)
	}
	if cfg.Region == "" {
		return loaded{}, &Error{
			Kind: BadRequest, Err: errors.New("no AWS region is set"),
			Hint: "Name the region of the cluster with --region, AWS_REGION, or a region line in the profile " + src.quotedProfile() + " of ~/.aws/config.",
		}
	}
	idle, calls := frozen(&cfg), new(atomic.Int64)
	cfg.HTTPClient = countedClient{cfg.HTTPClient, calls}
	cfg.Credentials = stagedProvider{cfg.Credentials}
	return loaded{aws: cfg, source: src, idle: idle, calls: calls}, nil
}

func isNoProfile(err error) bool {
	_, ok := errors.AsType[config.SharedConfigProfileNotExistError](err)
	return ok
}

// loadError explains why the SDK could not make a configuration.
func loadError(src source, err error) error {
	if e, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return &Error{
			Kind: BadRequest, Err: fmt.Errorf("there is no AWS profile %q", clean(e.Profile, maxCode)),
			Hint: "`aws configure list-profiles` shows the profiles in ~/.aws/config and ~/.aws/credentials; choose one with --profile or AWS_PROFILE.",
		}
	}
	if _, ok := errors.AsType[config.AssumeRoleTokenProviderNotSetError](err); ok {
		return &Error{
			Kind: Credentials, Err: fmt.Errorf("profile %s assumes a role with an MFA code, and nobody can be asked for one here", src.quotedProfile()),
			Hint: src.mfaHint(),
		}
	}
	if e, ok := errors.AsType[config.SharedConfigLoadError](err); ok {
		return badConfig(fmt.Errorf("the AWS file %s cannot be read: %w", e.Filename, err))
	}
	return badConfig(err)
}

func badConfig(err error) error {
	return &Error{Kind: BadRequest, Err: err, Hint: "Check ~/.aws/config, ~/.aws/credentials and the AWS_… variables; `aws configure list` shows what is in force."}
}
