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
	if strings.ContainsAny(p.Executable, `"'\`) { // however they are quoted: systemd's string_is_safe
		return "", fmt.Errorf("executable %q: systemd takes no quotes or backslashes in the path of a program", p.Executable)
	}
	command := []string{quotePath(p.Executable)}
	for _, arg := range p.Args {
		command = append(command, quoteArg(arg))
	}
	var env strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		fmt.Fprintf(&env, "Environment=%s\n", quoteEnv(name+"="+p.Env[name]))
	}
	return fmt.Sprintf(systemdUnit, strings.Join(command, " "), env.String()), nil
}

// systemdUnit has the command line and the environment left out.
const systemdUnit = `# emr-accessd as a service of the user: systemctl --user enable --now emr-accessd
[Unit]
Description=Keep SSH to Amazon EMR open for the current address
# After ten failures in five minutes it stays down and systemctl --user status says so.
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
# exec: a program that cannot be started is an error of "systemctl start", not a later surprise.
Type=exec
ExecStart=%s
%s# A crash costs five seconds. Exit status 2 is a mistake in the configuration, which trying again does not mend.
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
# It ends within a second of SIGTERM; a call to AWS that hangs must not hold up a logout.
TimeoutStopSec=10
# State and host keys are nobody else's business.
UMask=0077

# What follows needs no user namespaces, which some systems forbid. It holds for the helpers as well that the AWS
# configuration starts (credential_process), so it leaves out:
#   MemoryDenyWriteExecute, under which node and other programs with a JIT compiler exit at once;
#   ProtectHome, because the SSO token cache in ~/.aws is written;
#   CapabilityBoundingSet, which a user's service manager may not change.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
# AF_NETLINK tells of network changes, AF_UNIX reaches the name service and the SSH agent.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# A helper that tries something forbidden gets an error, which most can live with, instead of being killed.
SystemCallErrorNumber=EPERM

[Install]
# A user's service manager has no multi-user.target.
WantedBy=default.target
`

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
