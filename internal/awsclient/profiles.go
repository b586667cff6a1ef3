package awsclient

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// maxProfileFile bounds what is read of an AWS file for the names of profiles, in bytes.
const maxProfileFile = 1 << 20

// Profiles lists the names of the profiles in the AWS files, sorted, for a shell that completes them. Files that cannot be
// read have none.
func Profiles() []string {
	var names []string
	for _, f := range []struct {
		path, prefix string
	}{{cmp.Or(os.Getenv("AWS_CONFIG_FILE"), config.DefaultSharedConfigFilename()), "profile "},
		{cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), config.DefaultSharedCredentialsFilename()), ""}} {
		names = append(names, sections(f.path, f.prefix)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// sections are the names of the sections of an AWS file. In ~/.aws/config those of profiles begin with "profile", except
// the default one (AWS CLI User Guide, "Configuration and credential file settings").
func sections(path, prefix string) (names []string) {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, maxProfileFile))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(line, "[") {
			continue
		}
		name, _, closed := strings.Cut(line[1:], "]")
		name = strings.TrimSpace(name)
		bare, is := strings.CutPrefix(name, prefix)
		if bare = strings.TrimSpace(bare); closed && (is || name == "default") && bare != "" {
			names = append(names, bare)
		}
	}
	return names
}

// Unattended reports whether credentials come without a program that might ask somebody, as a credential_process may.
func Unattended(ctx context.Context, o Options) bool {
	ld, err := load(ctx, o)
	return err == nil && ld.source.origin != fromProcess && ld.source.mfa == ""
}
