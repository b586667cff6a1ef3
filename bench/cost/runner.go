package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// sampleFile is the variable that makes this program a runner: it starts the one that its arguments name, and writes what
// that has taken to the file. A process counts the memory of its parent as its own until it is another program, so the
// parent must be a small one, and not the one with all of AWS in it.
const sampleFile = "EMR_ACCESSD_COST_SAMPLE"

// runner runs the program of args and returns its exit code.
func runner(args []string, file string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := cmd.ProcessState
	data, err := json.Marshal(sample{Seconds: time.Since(began).Seconds(), CPU: (p.UserTime() + p.SystemTime()).Seconds(), Peak: peakOf(p)})
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return p.ExitCode()
}
