package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// project is ours by the module's name. Who publishes a release, and where, are parameters.
	project = "github.com/emr-accessd/emr-accessd"
	summary = "keep your own IP address authorized for SSH on Amazon EMR"
	// nfpmModule is the last release that builds with Go 1.26. It is run by "go run" and stays out of go.mod, because
	// it brings more modules than the program itself has.
	nfpmModule = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2"
)

const usage = `usage: packaging/build [flags]

Makes the packages of a release. The last lines name what was made.

  packaging/build                                   everything, into dist/
  packaging/build --only linux-amd64,deb,rpm --out /tmp/p
  packaging/build --version 1.2.3 --publisher 'Jo Doe <jo@example.org>' \
      --url https://example.org/download/v1.2.3

flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.As(err, new(usageError)):
		fmt.Fprintf(os.Stderr, "packaging/build: error: %v\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "packaging/build: error: %v\n", err)
		os.Exit(1)
	}
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// release is one call's parameters.
type release struct {
	source, out string // the project's root, and where the packages go
	version     version
	commit      string    // hexadecimal, or ""
	date        time.Time // of everything that has a time
	publisher   person
	url         string // the folder that users download from, or ""
	targets     []target
	formats     map[string]bool
	log         io.Writer
}

func run(ctx context.Context, args []string, log io.Writer) error {
	r := &release{log: log}
	fs := flag.NewFlagSet("packaging/build", flag.ContinueOnError)
	fs.SetOutput(log)
	fs.Usage = func() {
		fmt.Fprint(log, usage)
		fs.PrintDefaults()
	}
	out := fs.String("out", "dist", "the `folder` for the packages")
	only := fs.String("only", "", "a `list` of what to make, of "+strings.Join(choices(), ", "))
	ver := fs.String("version", "", "the `version` (default: from the last tag v1.2.3, else 0.0.0-git…)")
	commit := fs.String("commit", "", "the commit's `id` (default: git's)")
	date := fs.String("date", "", "seconds since 1970, the `time` in all files (default: $SOURCE_DATE_EPOCH, else the commit's)")
	publisher := fs.String("publisher", "", "who answers for the packages, as `'Name <address>'` (default: nobody, and they say so)")
	url := fs.String("url", "", "the `address` of the folder that users will download from; without it no Homebrew, Scoop and winget descriptions are made")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if fs.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", fs.Arg(0))}
	}
	var err error
	if r.source, err = os.Getwd(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(r.source, "packaging", "build")); err != nil {
		return fmt.Errorf("not in the project's root folder; start packaging/build instead: %w", err)
	}
	r.out = *out
	if !filepath.IsAbs(r.out) {
		r.out = filepath.Join(cmp.Or(os.Getenv("EMR_ACCESSD_BUILD_FROM"), r.source), r.out)
	}
	if r.targets, r.formats, err = choose(*only); err != nil {
		return usageError{err}
	}
	if r.publisher, err = parsePerson(*publisher); err != nil {
		return usageError{err}
	}
	if r.url, err = parseURL(*url); err != nil {
		return usageError{err}
	}
	if r.formats["descriptions"] && (r.url == "" || *publisher == "") {
		if strings.Contains(*only, "descriptions") {
			return usageError{errors.New("descriptions name who publishes and where: they need --publisher and --url")}
		}
		r.formats["descriptions"] = false
		fmt.Fprintln(log, "no Homebrew, Scoop and winget descriptions, which need --publisher and --url")
	}
	if r.formats["descriptions"] && identifier(r.publisher.name) == identifier("") {
		return usageError{fmt.Errorf("--publisher %q: winget's identifier is made of its letters A to Z, and there is none", r.publisher.name)}
	}
	if err := r.identify(ctx, *ver, *commit, cmp.Or(*date, os.Getenv("SOURCE_DATE_EPOCH"))); err != nil {
		return err
	}
	return r.make(ctx)
}

// identify finds the version, the commit and the date: as they are given, else by git.
func (r *release) identify(ctx context.Context, ver, commit, date string) error {
	if ver == "" || date == "" {
		known, err := gitState(ctx, r.source)
		if err != nil {
			return fmt.Errorf("%w (without git, give --version and --date)", err)
		}
		ver, commit, date = cmp.Or(ver, known.version), cmp.Or(commit, known.commit), cmp.Or(date, known.date)
	}
	var err error
	if r.version, err = parseVersion(ver); err != nil {
		return usageError{err}
	}
	if strings.Trim(commit, "0123456789abcdef") != "" {
		return usageError{fmt.Errorf("--commit %q: not a hexadecimal id", commit)}
	}
	r.commit = commit
	seconds, err := strconv.ParseInt(date, 10, 64)
	if err != nil || seconds < 315532800 || seconds > 4102444800 { // a zip file begins in 1980
		return usageError{fmt.Errorf("--date %q: not seconds since 1970, between 1980 and 2100", date)}
	}
	r.date = time.Unix(seconds, 0).UTC()
	return nil
}
