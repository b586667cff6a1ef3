package main

import (
	"os/exec"
	"slices"
	"testing"
)

func TestVersion(t *testing.T) {
	tests := []struct{ in, shown, tilde, apk, arch string }{
		{"1.2.3", "1.2.3", "1.2.3", "1.2.3", "1.2.3"},
		{"v1.2.3", "1.2.3", "1.2.3", "1.2.3", "1.2.3"},
		{"1.2.3-rc.1", "1.2.3-rc.1", "1.2.3~rc.1", "1.2.3_rc1", "1.2.3rc1"},
		{"1.2.3+5.g8b64a60c", "1.2.3+5.g8b64a60c", "1.2.3+5.g8b64a60c", "1.2.3_p5", "1.2.3+5.g8b64a60c"},
		{"1.2.3-beta.2+5.g8b64a60c.dirty", "1.2.3-beta.2+5.g8b64a60c.dirty", "1.2.3~beta.2+5.g8b64a60c.dirty", "1.2.3_beta2_p5", "1.2.3beta2+5.g8b64a60c.dirty"},
		{"0.0.0-git.20261128132028.8b64a605", "0.0.0-git.20261128132028.8b64a605", "0.0.0~git.20261128132028.8b64a605", "0.0.0_git20261128132028", "0.0.0git20261128132028"},
		{"1.2.3+dirty", "1.2.3+dirty", "1.2.3+dirty", "1.2.3", "1.2.3+dirty"},
	}
	for _, test := range tests {
		v, err := parseVersion(test.in)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := []string{v.String(), v.tilde(), v.apk(), v.arch()}; !slices.Equal(got, []string{test.shown, test.tilde, test.apk, test.arch}) {
			t.Errorf("%s: %q", test.in, got)
		}
	}
}

func TestVersionRefused(t *testing.T) {
	for _, bad := range []string{"", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-rc", "1.2.3-rc1", "1.2.3-preview.1", "1.2.3 ", "1.2.3\n", "1.2.3+", "1.2.3+a b",
		"1.2.3+$(x)", "1.2.3' -X main.x=", "latest", "v", "vv1.2.3", "1.2.3-git.2026.ab"} {
		if v, err := parseVersion(bad); err == nil {
			t.Errorf("%q: %s", bad, v)
		}
	}
}

func TestVersionOf(t *testing.T) {
	const commit = "8b64a605a763adac7ed08d36b7099a089317f46e"
	tests := []struct {
		described string
		dirty     bool
		want      string
	}{
		{"v1.2.3-0-g8b64a605", false, "1.2.3"},
		{"v1.2.3-0-g8b64a605", true, "1.2.3+dirty"},
		{"v1.2.3-5-g8b64a605", false, "1.2.3+5.g8b64a605"},
		{"v1.2.3-rc.1-5-g8b64a605", true, "1.2.3-rc.1+5.g8b64a605.dirty"},
		{"v1.2.3+b-5-g8b64a605", false, "1.2.3+b.5.g8b64a605"},
		{"", false, "0.0.0-git.20261128132028.8b64a605"},
		{"", true, "0.0.0-git.20261128132028.8b64a605+dirty"},
	}
	for _, test := range tests {
		got, err := versionOf(test.described, commit, "1795872028", test.dirty)
		if err != nil || got != test.want {
			t.Errorf("%q: %q, %v; want %q", test.described, got, err, test.want)
		}
		if _, err := parseVersion(got); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"v1", "v1-2", "-"} {
		if got, err := versionOf(bad, commit, "1795872028", false); err == nil {
			if _, err := parseVersion(got); err == nil {
				t.Errorf("%q: %q", bad, got)
			}
		}
	}
}

// The package managers themselves say that an upgrade is one.
func TestVersionOrder(t *testing.T) {
	order := []string{"0.0.0-git.20251128132028.8b64a605", "0.0.0-git.20261128132028.0b64a605", "0.0.0", "1.2.3-alpha.1", "1.2.3-beta.1", "1.2.3-rc.1", "1.2.3-rc.2", "1.2.3-rc.10", "1.2.3", "1.2.3+5.g8b64a605", "1.2.4", "1.10.0"}
	managers := []struct {
		program string
		form    func(version) string
		less    func(a, b string) bool
	}{
		{"dpkg", version.tilde, func(a, b string) bool {
			return exec.Command("dpkg", "--compare-versions", a+"-1", "lt", b+"-1").Run() == nil
		}},
		{"vercmp", version.arch, func(a, b string) bool {
			out, err := exec.Command("vercmp", a+"-1", b+"-1").Output()
			return err == nil && string(out) == "-1\n"
		}},
		{"rpm", version.tilde, func(a, b string) bool {
			out, err := exec.Command("rpm", "--eval", `%{lua:print(rpm.vercmp("`+a+`", "`+b+`"))}`).Output()
			return err == nil && string(out) == "-1\n"
		}},
	}
	for _, m := range managers {
		t.Run(m.program, func(t *testing.T) {
			if _, err := exec.LookPath(m.program); err != nil {
				t.Skip("not installed: .ci/packages installs it")
			}
			for i := 1; i < len(order); i++ {
				a, _ := parseVersion(order[i-1])
				b, _ := parseVersion(order[i])
				if !m.less(m.form(a), m.form(b)) {
					t.Errorf("%s is not before %s", m.form(a), m.form(b))
				}
				if m.less(m.form(b), m.form(a)) {
					t.Errorf("%s is before %s", m.form(b), m.form(a))
				}
			}
		})
	}
}
