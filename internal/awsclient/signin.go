package awsclient

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/config"
)

// maxCacheFiles bounds what is looked at in a folder of tokens. Most have a handful, but the AWS CLI never clears its
// own; of more than these (some 20 ms) only what comes or goes shows, and not what is written over.
const maxCacheFiles = 10_000

// SignInMark changes when somebody signs in: it is a digest of names, sizes and times of the files that credentials
// come from (the AWS files, and the caches of `aws sso login`, `aws login` and the AWS CLI). It reads no content and asks
// nobody. Credentials from a program or a container leave no such trace.
func SignInMark() string {
	sum := sha256.New()
	note := func(path string, info fs.FileInfo) {
		fmt.Fprintf(sum, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
	}
	for _, path := range []string{cmp.Or(os.Getenv("AWS_CONFIG_FILE"), config.DefaultSharedConfigFilename()),
		cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), config.DefaultSharedCredentialsFilename())} {
		if info, err := os.Stat(path); err == nil {
			note(path, info)
		}
	}
	for _, dir := range tokenFolders() {
		if info, err := os.Stat(dir); err == nil {
			note(dir, info)
		}
		entries, err := os.ReadDir(dir)
		if err != nil { // mostly: nobody has ever signed in this way
			continue
		}
		for _, e := range entries[:min(len(entries), maxCacheFiles)] {
			// A token may be written over the old one, which does not show in the time of the folder.
			if info, err := e.Info(); err == nil {
				note(filepath.Join(dir, e.Name()), info)
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// tokenFolders are where the SDK (ssocreds.StandardCachedTokenFilepath, logincreds) and the AWS CLI keep tokens.
func tokenFolders() []string {
	var dirs []string
	if dir := os.Getenv("AWS_LOGIN_CACHE_DIRECTORY"); dir != "" {
		dirs = append(dirs, dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return dirs
	}
	for _, sub := range []string{"sso", "login", "cli"} {
		dirs = append(dirs, filepath.Join(home, ".aws", sub, "cache"))
	}
	return dirs
}
