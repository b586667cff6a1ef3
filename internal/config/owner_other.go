//go:build !unix

package config

import "io/fs"

// writableByOthers has nothing to say: on Windows the user's AppData is closed to other users by its ACL, which file
// modes do not show.
func writableByOthers(string, fs.FileInfo) (problem, hint string) { return "", "" }
