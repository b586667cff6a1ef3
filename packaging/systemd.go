package packaging

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SystemdUserUnit renders the unit of the user's own service manager (systemd.unit(5), systemd.service(5)). An
// argument, path or variable that a unit cannot hold is an error.
func SystemdUserUnit(p UnitParams) (string, error) {
	p, err := p.check()
	if err != nil {
		return "", err
	}
	command, err := p.execStart()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(systemdUserUnit, command, environment(p), systemdService), nil
}

// SystemdSystemUnit renders the unit of the system's service manager, which runs the program as an ordinary user: as
// root it would run whatever the user's AWS configuration names (credential_process).
func SystemdSystemUnit(p UnitParams) (string, error) {
	p, err := p.check()
	if err != nil {
		return "", err
	}
	command, err := p.execStart()
	if err != nil {
		return "", err
	}
	if p.User == "" || strings.Trim(p.User, nameBytes+"-.") != "" || strings.HasPrefix(p.User, "-") || p.User == "root" || strings.Trim(p.User, "0") == "" {
		return "", fmt.Errorf("user %q: want the name of an ordinary user, of letters, digits, dots, hyphens and underscores", p.User)
	}
	var writable strings.Builder
	for _, dir := range p.Writable {
		if err := absolute("folder", dir); err != nil {
			return "", err
		}
		fmt.Fprintf(&writable, "ReadWritePaths=%s\n", quoteIfNeeded("-"+strings.ReplaceAll(dir, "%", "%%")))
	}
	return fmt.Sprintf(systemdSystemUnit, command, p.User, environment(p), systemdService, writable.String()), nil
}

// SystemdDropIn renders what an installation adds to a unit that a package brought. It is empty where there is nothing
// to add.
func SystemdDropIn(p UnitParams) (string, error) {
	p, err := p.check()
	if err != nil {
		return "", err
	}
	if len(p.Env) == 0 && p.EnvFile == "" {
		return "", nil
	}
	return "# Made by emr-accessd install: what the service does not inherit from your shell.\n[Service]\n" + environment(p), nil
}

// execStart is the command line of a unit.
func (p UnitParams) execStart() (string, error) {
	if strings.ContainsAny(p.Executable, `"'\`) { // however they are quoted: systemd's string_is_safe
		return "", fmt.Errorf("executable %q: systemd takes no quotes or backslashes in the path of a program", p.Executable)
	}
	command := []string{quotePath(p.Executable)}
	for _, arg := range p.Args {
		command = append(command, quoteArg(arg))
	}
	return strings.Join(command, " "), nil
}

// environment has the settings of a unit's environment, one a line.
func environment(p UnitParams) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		fmt.Fprintf(&b, "Environment=%s\n", quoteEnv(name+"="+p.Env[name]))
	}
	if p.EnvFile != "" { // the dash: a file that is gone is no reason not to start
		fmt.Fprintf(&b, "EnvironmentFile=-%s\n", strings.ReplaceAll(p.EnvFile, "%", "%%")) // takes no quotes, and a blank is itself
	}
	return b.String()
}

// quotePath makes the first word of ExecStart. It knows specifiers such as %h, but no variables: there a dollar
// stands for itself (systemd.service(5), COMMAND LINES).
func quotePath(s string) string {
	return quoteIfNeeded(strings.ReplaceAll(s, "%", "%%"))
}

// quoteArg makes a further word of ExecStart, where a dollar begins a variable unless it is doubled.
func quoteArg(s string) string {
	return quoteIfNeeded(strings.NewReplacer("%", "%%", "$", "$$").Replace(s))
}

// quoteEnv makes a word of Environment, where a dollar has no meaning (systemd.exec(5)).
func quoteEnv(s string) string { return quote(strings.ReplaceAll(s, "%", "%%")) }

// quote puts a word into double quotes, within which only the backslash and the quote are special (systemd.syntax(7)).
// Two braces become {\x7b, because kardianos/service, which writes the file, would take them for its own template.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "{{", `{\x7b`).Replace(s) + `"`
}

// quoteIfNeeded leaves a word alone that nobody could misread.
func quoteIfNeeded(s string) string {
	if s != "" && strings.Trim(s, nameBytes+"-./:=@%$+,") == "" {
		return s
	}
	return quote(s)
}
