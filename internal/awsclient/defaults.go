package awsclient

import (
	"cmp"
	"context"
	"os"
)

// Defaults returns the profile and region that Open would use, without any call: what is remembered for a
// later round must not depend on the environment of that round. The profile stays "" where keys in the
// environment are used. Errors are *Error of Kind BadRequest.
func Defaults(ctx context.Context, o Options) (profile, region string, err error) {
	ld, err := load(ctx, o)
	if err != nil {
		return "", "", err
	}
	profile = o.Profile
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		profile = cmp.Or(profile, os.Getenv("AWS_PROFILE"))
	}
	return profile, cmp.Or(o.Region, ld.aws.Region), nil
}
