package sshsession

import (
	"path"
	"slices"
	"strings"
)

// sent are the variables that each session sends, one of each name.
func (t Target) sent() (env []string) {
	var names []string
	add := func(variable string) {
		name, _, ok := strings.Cut(variable, "=")
		if ok && name != "" && !slices.Contains(names, name) {
			names, env = append(names, name), append(env, variable)
		}
	}
	for _, variable := range t.SetEnv {
		add(variable)
	}
	for _, variable := range t.Env {
		name, _, _ := strings.Cut(variable, "=")
		if name == "LANG" || strings.HasPrefix(name, "LC_") || slices.ContainsFunc(t.SendEnv, func(p string) bool { return fits(p, name) }) {
			add(variable)
		}
	}
	return env
}

// fits reports whether a name of a variable fits a pattern of * and ?.
func fits(pattern, name string) bool {
	if strings.ContainsAny(pattern, `[\/`) { // path.Match knows more than ssh does, and names have none of these
		return false
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok && !strings.Contains(name, "/")
}
