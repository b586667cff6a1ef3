package packaging

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// EnvFile renders a file of variables, one NAME="value" a line, that systemd's EnvironmentFile= and [ParseEnvFile]
// read alike (systemd.exec(5)). A name or value that it cannot hold is an error, which does not show the value.
func EnvFile(env map[string]string) (string, error) {
	var b strings.Builder
	b.WriteString("# Made by emr-accessd install: what the service does not inherit from your shell. It may hold a password.\n")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !isName(name) {
			return "", fmt.Errorf("environment variable %q: not a name of letters, digits and underscores", name)
		}
		if err := plain(env[name]); err != nil {
			return "", fmt.Errorf("environment variable %s: %w", name, err)
		}
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, envEscapes.Replace(env[name]))
	}
	return b.String(), nil
}

// Within double quotes a backslash quotes these four, as in a shell, and nothing else.
var envEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`")

var errEnvFile = errors.New("want a name, an equals sign and a value in double quotes")

// ParseEnvFile reads what [EnvFile] rendered, blank lines and comments besides. An error names the line, not its text.
func ParseEnvFile(text string) (map[string]string, error) {
	env := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, `="`)
		value, closed := strings.CutSuffix(value, `"`)
		value, err := unescape(value)
		if !ok || !closed || !isName(name) || err != nil || plain(value) != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, errEnvFile)
		}
		env[name] = value
	}
	return env, nil
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"' || s[i] == '\\' && i+1 == len(s):
			return "", errEnvFile
		case s[i] == '\\' && strings.IndexByte("\\\"$`", s[i+1]) >= 0:
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), nil
}
