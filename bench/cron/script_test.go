//go:build unix

package cron_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/bench/cron"
)

// The script opens for a new address what it has closed for the old one, and leaves a rule that is right.
func TestScript(t *testing.T) {
	for _, tt := range []struct {
		name, old string
		want      []string
	}{
		{"nothing yet", "", []string{"describe-security-group-rules", "authorize-security-group-ingress"}},
		{"another address", "198.51.100.1/32", []string{"describe-security-group-rules", "revoke-security-group-ingress", "authorize-security-group-ingress"}},
		{"the same", "198.51.100.2/32", []string{"describe-security-group-rules"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			fake := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			fake("curl", "echo 198.51.100.2\n")
			fake("aws", `echo "$@" >>calls
case $2 in describe-*) echo '`+tt.old+"' ;; esac\n")
			file := filepath.Join(dir, "script.sh")
			if err := (cron.Script{AWS: "aws", Group: "sg-1", Echo: "https://aws.lab/"}).Write(file); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "/bin/sh", file)
			cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
			calls, err := os.ReadFile(filepath.Join(dir, "calls"))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(calls)), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("the calls are\n%s", calls)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], "ec2 "+want) || !strings.Contains(lines[i], "sg-1") {
					t.Errorf("call %d is %q, want %s for sg-1", i, lines[i], want)
				}
			}
			if last := lines[len(lines)-1]; len(lines) > 1 && !strings.Contains(last, "CidrIp=198.51.100.2/32,") {
				t.Errorf("%q is not for the address", last)
			}
			if len(lines) == 3 && !strings.Contains(lines[1], "--cidr "+tt.old) {
				t.Errorf("%q does not close the old address", lines[1])
			}
		})
	}
}

func TestScriptWords(t *testing.T) {
	for _, word := range []string{"", "a b", "$(date)", "x;y", "`id`", "a'b"} {
		if err := (cron.Script{AWS: word, Group: "sg-1", Echo: "https://aws.lab/"}).Write(filepath.Join(t.TempDir(), "s")); err == nil {
			t.Errorf("%q is put into a script", word)
		}
	}
}

func TestFindAWS(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"curl", "aws"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	if got, err := cron.FindAWS("aws"); err != nil || got != filepath.Join(dir, "aws") {
		t.Errorf("%q %v", got, err)
	}
	if _, err := cron.FindAWS("aws-that-is-not-there"); err == nil {
		t.Error("no error for a program that is not there")
	}
}
