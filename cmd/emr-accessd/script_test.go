package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the transcripts of testdata/script: each has a world of its own, with the built program as
// child processes.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Condition: havePeer,
		Setup: func(env *testscript.Env) error {
			dir := env.WorkDir
			w, err := newSimWorld(dir)
			if err != nil {
				return err
			}
			env.Defer(w.close)
			env.Values["world"] = w
			home := filepath.Join(dir, "home")
			if err := os.MkdirAll(home, 0o700); err != nil {
				return err
			}
			target := fmt.Sprintf("[[target]]\ncluster = %q\n", w.cluster)
			for name, text := range map[string]string{"config.toml": target, "notarget.toml": ""} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(w.config(dir, text)), 0o600); err != nil {
					return err
				}
			}
			if err := w.flagsFile(dir); err != nil {
				return err
			}
			for _, op := range operators {
				env.Vars = append(env.Vars, "ECHO_"+op+"="+w.servers[op].URL+"/")
			}
			other := newOtherAccount(env)
			env.Values["other"] = other
			portal := newPortal()
			env.Defer(portal.Close)
			env.Vars = append(env.Vars, w.env()...)
			env.Vars = append(env.Vars, "AWS_ENDPOINT_URL_SSO="+portal.URL)
			env.Vars = append(env.Vars, "GORACE=atexit_sleep_ms=0") // else a -race build sleeps a second at its end
			env.Vars = append(env.Vars, "HOME="+home, "USERPROFILE="+home, "EMR_ACCESSD_CONFIG="+filepath.Join(dir, "config.toml"),
				"EMR_ACCESSD_STATE="+filepath.Join(dir, "state"), "AWS_CONFIG_FILE="+filepath.Join(home, "aws-config"),
				"AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(home, "aws-credentials"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"answer": func(ts *testscript.TestScript, _ bool, args []string) { worldOf(ts).set(args[0], args[1]) },
			"snapshot": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(worldOf(ts).listing()), 0o600))
			},
			"sshd":      cmdSSHD,
			"node":      cmdNode,
			"keypair":   cmdKeyPair,
			"console":   cmdConsole,
			"writes":    cmdWrites,
			"until":     cmdUntil,
			"line":      cmdLine,
			"stopwatch": cmdStopwatch,
			"rule":      cmdRule,
			"fault":     cmdFault,
			"foreign":   cmdForeign,
			"public":    cmdPublic,
			"addrule":   cmdAddRule,
			"hangup":    cmdHangUp,
			"closedid":  cmdClosedID,
			"left":      cmdLeft,
			"signin":    cmdSignIn,
			"start":     cmdStart,
			"second":    cmdSecond,
			"end":       cmdEnd,
			"crowd":     cmdCrowd,
			"rules":     cmdRules,
			"teamkey":   cmdTeamKey,
			"network":   cmdNetwork,
			"imposter":  cmdImposter,
			"regions":   cmdRegions,
			"cluster": func(ts *testscript.TestScript, _ bool, args []string) {
				worldOf(ts).sim.SetClusterState(worldOf(ts).cluster, args[0])
			},
			"principal": func(ts *testscript.TestScript, _ bool, args []string) {
				p := awssim.Principal{UserID: args[1], Expired: args[1] == "expired"}
				if args[1] == "unstable" { // the SDK names a role session by the time when the profile does not
					p.UserID = "AROATEST:aws-go-sdk-1763800000000000000"
					p.ARN = "arn:aws:sts::123456789012:assumed-role/team/aws-go-sdk-1763800000000000000"
				}
				if len(args) > 2 {
					p.Deny = args[2:]
				}
				worldOf(ts).sim.AddPrincipal(args[0], p)
			},
		},
	})
}

func worldOf(ts *testscript.TestScript) *simWorld { return ts.Value("world").(*simWorld) }

// writes N: so many write calls were made since the last time.
func cmdWrites(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := w.writes(); (got == n) == neg {
		for _, c := range w.sim.Calls() {
			ts.Logf("call: %s %v %s", c.Action, c.Params, c.Code)
		}
		ts.Fatalf("%d write calls, want %d", got, n)
	}
	w.sim.ResetCalls()
}

// rule CIDR [VAR]: the group has one rule with our tags for it; its id goes to the variable, or must equal it.
func cmdRule(ts *testscript.TestScript, neg bool, args []string) {
	var found []string
	for _, r := range worldOf(ts).sim.Rules(worldOf(ts).master) {
		if r.CIDR == args[0] && r.Tags["emr-accessd-owner"] != "" {
			found = append(found, r.ID)
		}
	}
	if neg != (len(found) == 0) || len(found) > 1 {
		ts.Fatalf("rules for %s: %v\n%s", args[0], found, worldOf(ts).listing())
	}
	if len(args) > 1 && !neg {
		if was := ts.Getenv(args[1]); was != "" && was != found[0] {
			ts.Fatalf("the rule for %s is %s, and it was %s", args[0], found[0], was)
		}
		ts.Setenv(args[1], found[0])
	}
}

// until CIDR [VAR]: as rule, but waits for it (or, negated, for its end).
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(worldOf(ts).listing(), args[0]) != neg {
			break
		}
	}
	cmdRule(ts, neg, args)
}

// line FILE REGEXP waits until a file that somebody writes has such a line.
func cmdLine(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile(args[1])
	ts.Check(err)
	var text []byte
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if text, _ = os.ReadFile(ts.MkAbs(args[0])); want.Match(text) {
			return
		}
	}
	ts.Fatalf("no line matches %s in\n%s", args[1], text)
}

// stopwatch starts; stopwatch DURATION fails when more has passed.
func cmdStopwatch(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	if len(args) == 0 {
		w.began = time.Now()
		return
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	if took := time.Since(w.began); took > limit {
		ts.Fatalf("it took %v, more than %v", took, limit)
	}
}

// fault ACTION CODE [TIMES].
func cmdFault(ts *testscript.TestScript, _ bool, args []string) {
	f := awssim.Fault{Action: args[0], Code: args[1]}
	switch args[1] {
	case "clear":
		worldOf(ts).sim.ClearFaults()
		return
	case "lost":
		f.Code, f.DropAfter = "", true
	case "drop":
		f.Code, f.DropBefore = "", true
	case "slow":
		f.Code, f.Latency = "", time.Minute
	}
	if len(args) > 2 {
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		f.Times = n
	}
	worldOf(ts).sim.Inject(f)
}

// left CIDR USER DURATION: a rule that a computer of a user has left behind, whose lease ends then.
func cmdLeft(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	ends, err := time.ParseDuration(args[2])
	ts.Check(err)
	h := sgsync.Holder{UserID: args[1], Installation: "0123456789abcdef"}
	w.sim.AddRule(w.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: args[0], Tags: map[string]string{sgsync.OwnerTag: args[1],
		h.Key(): sgsync.FormatLease(time.Now().Add(ends), time.Now().Add(ends-24*time.Hour), "gone@laptop")}})
}

// foreign FILE: the rules without our tags are those of the snapshot.
func cmdForeign(ts *testscript.TestScript, _ bool, args []string) {
	lines := func(s string) (out []string) {
		for l := range strings.Lines(s) {
			if !strings.Contains(l, "emr-accessd-owner") {
				out = append(out, l)
			}
		}
		return out
	}
	was, now := lines(ts.ReadFile(args[0])), lines(worldOf(ts).listing())
	if strings.Join(was, "") != strings.Join(now, "") {
		ts.Fatalf("rules of others changed:\n%s\nwere:\n%s", strings.Join(now, ""), strings.Join(was, ""))
	}
}
