package packaging

import (
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LaunchAgent renders the property list of a LaunchAgent in the user's session (launchd.plist(5)). An argument, path
// or variable that a property list cannot hold is an error.
//
// launchd knows no counterpart of systemd's RestartPreventExitStatus: what ends with success is not started again, so the
// program ends with success, under launchd, after a mistake in the configuration. Variables that nobody else may read
// stand in the list itself, whose file is then to be private.
func LaunchAgent(p UnitParams) (string, error) {
	if p.Args == nil {
		p.Args = FileArgs()
	}
	p, err := p.check()
	if err != nil {
		return "", err
	}
	if p.EnvFile != "" {
		return "", errors.New("environment file: launchd reads none")
	}
	var args, env strings.Builder
	for _, arg := range append([]string{p.Executable}, p.Args...) {
		fmt.Fprintf(&args, "\t\t<string>%s</string>\n", escape(arg))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		fmt.Fprintf(&env, "\t\t<key>%s</key>\n\t\t<string>%s</string>\n", escape(name), escape(p.Env[name]))
	}
	if env.Len() > 0 {
		return fmt.Sprintf(launchAgent, escape(p.Label), args.String(), fmt.Sprintf(launchEnv, env.String())), nil
	}
	return fmt.Sprintf(launchAgent, escape(p.Label), args.String(), ""), nil
}

// launchAgent has the label, the command line and the environment left out. Umask 63 is octal 077: a property list
// has decimal numbers only.
const launchAgent = `<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by emr-accessd: a service of the user. -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>%s</string>
	<key>ProgramArguments</key>
	<array>
%s	</array>
%s	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>10</integer>
	<key>ProcessType</key>
	<string>Background</string>
	<key>Umask</key>
	<integer>63</integer>
</dict>
</plist>
`

const launchEnv = `	<key>EnvironmentVariables</key>
	<dict>
%s	</dict>
`

// escape makes a text of a property list. Two braces become {&#123;, for the reason in quote.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return strings.ReplaceAll(b.String(), "{{", "{&#123;")
}
