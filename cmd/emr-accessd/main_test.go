package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// The configuration's built-in sources and ipwatch's are written down in two places that must not part.
func TestDefaultOperators(t *testing.T) {
	var want []string
	for _, s := range ipwatch.DefaultSources() {
		if !slices.Contains(want, s.Operator) {
			want = append(want, s.Operator)
		}
	}
	if got := config.Default().Address.Operators(); !slices.Equal(got, want) {
		t.Errorf("config has %v, ipwatch %v", got, want)
	}
	def, pol := config.Default().Address, ipwatch.DefaultPolicy()
	if def.Agree != pol.Agree || def.Require != pol.Require || def.EgressCheck != pol.EgressCheck {
		t.Errorf("config %+v, ipwatch %+v", def, pol)
	}
}

func TestNamePatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"nightly-*", "nightly-etl", true}, {"nightly-*", "my-nightly-etl", false}, {"*", "a/b c\n", true},
		{"a.c", "abc", false}, {"a[b]*", "a[b]x", true}, {"x", "x", true}, {"x", "xx", false}, {"*etl", "nightly-etl", true},
	} {
		if got := matches(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q fits %q: %v", tt.name, tt.pattern, got)
		}
	}
}

func TestForeignTextIsHarmless(t *testing.T) {
	if got := printable("a\x1b[2Jb\nc\u202ed\u2028e\x00\u009b"); strings.ContainsFunc(got, func(r rune) bool { return r < 32 || r == '\u202e' || r == '\u2028' || r == '\u009b' }) {
		t.Errorf("%q", got)
	}
	if s := "naïve – 名前"; printable(s) != s {
		t.Errorf("%q became %q", s, printable(s))
	}
}

// The fields that docs/json.md promises.
func TestJSONFields(t *testing.T) {
	rep := keeper.Report{Targets: []keeper.TargetReport{{Verdicts: map[string]keeper.Verdict{"ipv4": {}, "ipv6": {}},
		Groups: []keeper.GroupReport{{Changes: []keeper.ChangeReport{{}}, Public: []string{}, Rules: []keeper.RuleReport{{Leases: []keeper.LeaseReport{{}}}}}}}}}
	for _, tt := range []struct {
		value any
		paths string
	}{
		{rep, "targets applied targets.0.target targets.0.error targets.0.verdicts.ipv4.state targets.0.verdicts.ipv4.address targets.0.verdicts.ipv6.why " +
			"targets.0.groups.0.id targets.0.groups.0.region targets.0.groups.0.public targets.0.groups.0.changes.0.do targets.0.groups.0.changes.0.rule " +
			"targets.0.groups.0.changes.0.cidr targets.0.groups.0.changes.0.port targets.0.groups.0.changes.0.firm " +
			"targets.0.groups.0.rules.0.rule targets.0.groups.0.rules.0.cidr targets.0.groups.0.rules.0.leases.0.end"},
		{statusAnswer{Identity: &keeper.Identity{}}, "paused targets last_round next_round identity.profile identity.account identity.userid warnings running noticing"},
		{ipAnswer{Verdicts: map[string]ipVerdict{"ipv4": {Answers: []ipResponse{{}}}}, Outside: []ipSighting{{}}, Notes: []string{}}, "outside.0.by outside.0.family outside.0.address " +
			"outside.0.error outside.0.took_ms notes verdicts.ipv4.answers.0.source verdicts.ipv4.answers.0.operator " +
			"verdicts.ipv4.answers.0.address verdicts.ipv4.answers.0.error verdicts.ipv4.answers.0.took_ms verdicts.ipv4.state verdicts.ipv4.address verdicts.ipv4.why"},
		{pauseAnswer{&keeper.Pause{}}, "paused.since"},
		{clustersAnswer{[]clusterRow{{}}, []groupUse{{}}, []failedPlace{{}}}, "clusters.0.id clusters.0.name clusters.0.state clusters.0.release clusters.0.created clusters.0.profile " +
			"clusters.0.region clusters.0.account clusters.0.nodes clusters.0.reach clusters.0.primary clusters.0.groups.primary clusters.0.groups.core " +
			"clusters.0.groups.additional_primary clusters.0.groups.additional_core clusters.0.key_name clusters.0.targets shared.0.group shared.0.clusters failed.0.profile failed.0.region failed.0.error failed.0.hint"},
		{checkAnswer{Checks: []permission{{}}}, "checks.0.target checks.0.action checks.0.resource checks.0.result missing"},
		{sshConfigAnswer{Hosts: []sshConfigHost{{}}}, "hosts.0.cluster hosts.0.host_key_alias hosts.0.known_hosts hosts.0.block file changed include included"},
		{knownHostsAnswer{Keys: []pinnedKey{{}}}, "cluster instance file keys.0.type keys.0.fingerprint keys.0.origin keys.0.added"},
		{trustAnswer{}, "cluster instance type fingerprint"},
		{tunnelAnswer{Doors: []tunnelDoor{{Name: "x", Title: "x", URL: "x"}}}, "target cluster instance address host_key doors.0.kind doors.0.name doors.0.title doors.0.listen doors.0.to doors.0.url"},
		{uiAnswer{[]uiRow{{}}}, "interfaces.0.name interfaces.0.aliases interfaces.0.title interfaces.0.ports interfaces.0.https interfaces.0.about"},
		{doctorAnswer{Checks: []doctorCheck{{}}}, "checks.0.subject checks.0.check checks.0.state checks.0.seen checks.0.remedy checks.0.notes checks.0.took_ms bad what_to_do at"},
		{versionAnswer{}, "version go system"},
	} {
		text, err := json.Marshal(tt.value)
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.FieldsSeq(tt.paths) {
			var v any
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			for part := range strings.SplitSeq(path, ".") {
				if l, ok := v.([]any); ok && part == "0" && len(l) > 0 {
					v = l[0]
				} else if m, ok := v.(map[string]any); ok {
					if v, ok = m[part]; !ok {
						t.Errorf("%s is missing in %s", path, text)
						break
					}
				} else {
					t.Errorf("%s is missing in %s", path, text)
					break
				}
			}
		}
	}
}

// A prompt of `connect` on a real terminal: an unknown host key is asked for with its fingerprint, and "no"
// is an answer.
func TestConnectAsksOnATerminal(t *testing.T) {
	w, err := newSimWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	server := startSSHD(t, w, false, plainShell)
	session := func(answer string, args ...string) (string, int) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, programPath(t), append([]string{"connect", "--port", server.port, "-i", server.key, "-l", server.login}, args...)...)
		cmd.Env = append(w.env(), "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"), "TERM=xterm",
			"EMR_ACCESSD_CONFIG="+w.write(t), "EMR_ACCESSD_STATE="+server.dir+"/state")
		f, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var out strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			out.Write(buf[:n])
			if strings.Contains(out.String(), "SHA256:") && answer != "" && strings.Contains(out.String(), "?") {
				_, _ = io.WriteString(f, answer+"\n")
				answer = ""
			}
			if strings.HasSuffix(strings.TrimRight(out.String(), " "), "$") || strings.HasSuffix(strings.TrimRight(out.String(), " "), "#") {
				_, _ = io.WriteString(f, "exit 3\n")
			}
			if err != nil {
				break
			}
		}
		_ = cmd.Wait()
		return out.String(), cmd.ProcessState.ExitCode()
	}
	if out, code := session("no", w.cluster); code != 255 || !strings.Contains(out, "SHA256:") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if out, code := session("yes", w.cluster, "--", "exit 7"); code != 7 || !strings.Contains(out, "SHA256:") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if out, code := session("", w.cluster); code != 3 || strings.Contains(out, "SHA256:") { // a shell; the key is known now
		t.Errorf("exit %d:\n%s", code, out)
	}
}
