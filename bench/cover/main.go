// Command cover says how much of each package the tests run, and fails below a floor. It reads a profile that
// `go test -coverprofile` has written for all packages at once. See bench/README.md.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "cover: error: %v\n", err)
		os.Exit(1)
	}
}

// answer is what -json prints.
type answer struct {
	Packages []share `json:"packages"`
	Total    share   `json:"total"`
}

// run prints the table of a profile. It is an error when a package is below its floor, has none, or is not there.
func run(args []string, out, progress io.Writer) error {
	fs := flag.NewFlagSet("cover", flag.ContinueOnError)
	fs.SetOutput(progress)
	asJSON := fs.Bool("json", false, "print JSON")
	file := fs.String("floors", "bench/cover/floors.txt", "`file` of the floors")
	set := fs.Bool("set", false, "write the floors: two points below what the profile says")
	fs.Usage = func() {
		fmt.Fprintln(progress, "usage: go run ./bench/cover [flags] PROFILE\nexample: go test -coverpkg=./cmd/...,./internal/...,./packaging -coverprofile=all.out ./... && go run ./bench/cover all.out")
		fs.PrintDefaults()
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case fs.NArg() != 1:
		fs.Usage()
		return errors.New("name one profile")
	}
	profile, err := os.Open(fs.Arg(0))
	if err != nil {
		return err
	}
	defer profile.Close()
	a, err := measure(profile)
	if err != nil {
		return fmt.Errorf("%s: %w", fs.Arg(0), err)
	}
	if *set {
		return os.WriteFile(*file, []byte(floorsOf(a)), 0o644) //nolint:gosec // a file of the repository
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	floors, err := readFloors(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	faults := check(a.Packages, floors)
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", " ")
		err = e.Encode(a)
	} else {
		err = table(out, a)
	}
	if err == nil && len(faults) > 0 {
		err = fmt.Errorf("%s\n(a floor is raised or lowered on purpose, in %s)", strings.Join(faults, "\n"), *file)
	}
	return err
}

// table prints the packages for people.
func table(out io.Writer, a answer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "statements\trun\t%\tfloor\t  package")
	for _, s := range a.Packages {
		fmt.Fprintf(w, "%d\t%d\t%.1f\t%d\t  %s\n", s.Statements, s.Run, s.Percent, s.Floor, s.Package)
	}
	fmt.Fprintf(w, "%d\t%d\t%.1f\t\t  %s\n", a.Total.Statements, a.Total.Run, a.Total.Percent, a.Total.Package)
	return w.Flush()
}
