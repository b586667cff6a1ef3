package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/mototest"
)

var seedMutants = flag.Bool("mutants", false, "build the program with the faults of mutants_test.go; the tests of the lease protocol must find each")

// faultVar holds the name of the fault that is switched on.
const faultVar = "EMR_ACCESSD_TEST_FAULT"

// faultSwitch is added to package sgsync, which all the others know.
const faultSwitch = `package sgsync

import "os"

var fault = os.Getenv("` + faultVar + `")

func Faulty(name string) bool { return fault == name }
`

// A test that a broken protocol passes proves nothing about a whole one.
func TestMutants(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	texts := mutatedTexts(t, root)
	if !*seedMutants {
		t.Skip("every fault still has its place in the code; -mutants builds them and runs the tests that must find them (minutes)")
	}
	overlay := writeOverlay(t, texts)
	bins := map[string]string{}
	for _, pkg := range []string{byGroup.pkg, byTeam.pkg} {
		bins[pkg] = filepath.Join(t.TempDir(), "mutant.test")
		build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-o", bins[pkg], "-overlay", overlay, "./"+pkg)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("the faults do not compile: %v\n%s", err, out)
		}
	}
	for _, m := range mutants {
		for _, j := range m.by {
			t.Run(strings.ReplaceAll(m.name, " ", "-")+"/"+j.test, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				out, err := j.run(t, root, bins[j.pkg], m.name)
				found := mutantFound.FindStringSubmatch(out)
				if err == nil || found == nil {
					t.Fatalf("the fault was not found: %v\n%s", err, out)
				}
				t.Logf("found in %v: %s", time.Since(began).Round(time.Second/10), found[1]+found[2]+found[3])
			})
		}
	}
	for _, j := range []judge{byGroup, byTeam, byPlan} { // what they find must be the fault's doing
		t.Run("none/"+j.test, func(t *testing.T) {
			t.Parallel()
			j.schedules = max(1, j.schedules/8) // the tests themselves run far more
			if out, err := j.run(t, root, bins[j.pkg], "none"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// mutantFound is how rapid tells of a schedule, also of one that goes well when it is tried again, or a table of its
// case. A test that fails otherwise has found nothing.
var mutantFound = regexp.MustCompile(`\[rapid\] failed after (\d+ tests: .*)|Original traceback \((.*)|--- FAIL: TestPlan/(.*)`)

// mutatedTexts returns the files that have faults, by path, with all of them built in.
func mutatedTexts(t *testing.T, root string) map[string]string {
	t.Helper()
	whole, texts := map[string]string{}, map[string]string{}
	for _, m := range mutants {
		for _, e := range m.edits {
			path := filepath.Join(root, filepath.FromSlash(e.file))
			if whole[path] == "" {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				whole[path], texts[path] = string(data), string(data)
			}
			if n := strings.Count(whole[path], e.from); n != 1 {
				t.Fatalf("%s has the place of the fault %q %d times: adapt the fault to the code", e.file, m.name, n)
			}
			on := fmt.Sprintf("sgsync.Faulty(%q)", m.name)
			if strings.HasPrefix(e.file, "internal/sgsync/") {
				on = strings.TrimPrefix(on, "sgsync.")
			}
			text := strings.Replace(texts[path], e.from, strings.ReplaceAll(e.to, "FAULT", on), 1)
			if text == texts[path] {
				t.Fatalf("the place of the fault %q in %s is gone: another fault has taken it", m.name, e.file)
			}
			texts[path] = text
		}
	}
	texts[filepath.Join(root, "internal", "sgsync", "faultswitch.go")] = faultSwitch
	return texts
}

// writeOverlay returns the file that tells the compiler to read these texts in place of the files.
func writeOverlay(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// run runs the test with a fault switched on, until it finds something or has used up its schedules.
func (j judge) run(t *testing.T, root, bin, fault string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, bin, "-test.run=^"+j.test+"$", "-test.failfast", fmt.Sprintf("-rapid.checks=%d", j.schedules), "-rapid.shrinktime=1ns", "-rapid.nofailfile")
	run.Dir = filepath.Join(root, filepath.FromSlash(j.pkg))
	run.Env = append(os.Environ(), faultVar+"="+fault)
	mototest.DieWithParent(run)
	var out bytes.Buffer
	run.Stdout, run.Stderr = &out, &out
	err := run.Run()
	return out.String(), err
}
