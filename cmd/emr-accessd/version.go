package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// release and its commit and date are set by the linker for a release (packaging/release).
var release, releaseCommit, releaseDate = "", "", ""

// version is the release, or what Go recorded of a build from source.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// recorded is what the linker was told, else what Go recorded of the source's repository under this key; "" without.
func recorded(told, key string) string {
	if release != "" {
		return told
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}

// buildDate is the time of the commit, zero if it is not known.
func buildDate() time.Time {
	t, err := time.Parse(time.RFC3339, recorded(releaseDate, "vcs.time"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

type versionAnswer struct {
	Version string     `json:"version"`
	Commit  string     `json:"commit"`
	Date    *time.Time `json:"date"`
	Go      string     `json:"go"`
	System  string     `json:"system"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "version and build information",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionAnswer{Version: version(), Commit: recorded(releaseCommit, "vcs.revision"), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
			if d := buildDate(); !d.IsZero() {
				v.Date = &d
			}
			return a.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "emr-accessd %s (%s, %s)\n", v.Version, v.Go, v.System)
				if v.Commit != "" && v.Date != nil {
					fmt.Fprintf(w, "commit %s of %s\n", v.Commit, v.Date.Format(time.RFC3339))
				}
			})
		},
	}
}
