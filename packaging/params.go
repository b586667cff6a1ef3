package packaging

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// UnitParams is what differs between two installations of the service.
type UnitParams struct {
	// Executable is the absolute path of the program, as it stays over upgrades: a package manager's link rather
	// than the versioned folder behind it.
	Executable string
	// Args follow the executable; [RunArgs] when nil.
	Args []string
	// Env is what the service needs of the environment that it does not inherit: PATH, proxies, AWS_* paths.
	Env map[string]string
	// EnvFile is the absolute path of a file with further variables, which nobody else may read: [EnvFile] renders it.
	// "" is none. A LaunchAgent has none.
	EnvFile string
	// Label names the LaunchAgent; [DefaultLabel] when empty. systemd names a unit by its file.
	Label string
	// User is the name of the user that a unit of the system runs as, and Writable the folders that it may write to.
	User     string
	Writable []string
}

// DefaultLabel is the name of the service where the system wants one.
const DefaultLabel = "emr-accessd"

// RunArgs are the arguments with which the program is the service of systemd, which keeps its log.
func RunArgs() []string { return []string{"run"} }

// FileArgs are those where nobody keeps the log: it goes to a file.
func FileArgs() []string { return []string{"run", "--log-to-file"} }

// check refuses what no service manager could be told, and returns the parameters with their defaults.
func (p UnitParams) check() (UnitParams, error) {
	if p.Args == nil {
		p.Args = RunArgs()
	}
	if p.Label == "" {
		p.Label = DefaultLabel
	}
	if err := absolute("executable", p.Executable); err != nil {
		return p, err
	}
	if p.EnvFile != "" {
		if err := absolute("environment file", p.EnvFile); err != nil {
			return p, err
		}
		if strings.ContainsAny(p.EnvFile, "\\\"'*?[") {
			return p, fmt.Errorf("environment file %q: systemd takes no quotes, backslashes or patterns there", p.EnvFile)
		}
	}
	for _, arg := range p.Args {
		if err := plain(arg); err != nil {
			return p, fmt.Errorf("argument %q: %w", arg, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		if !isName(name) {
			return p, fmt.Errorf("environment variable %q: not a name of letters, digits and underscores", name)
		}
		if err := plain(p.Env[name]); err != nil {
			return p, fmt.Errorf("environment variable %s: %w", name, err) // the value may be a secret
		}
	}
	if strings.Trim(p.Label, nameBytes+"-.") != "" {
		return p, fmt.Errorf("label %q: not letters, digits, dots, hyphens and underscores", p.Label)
	}
	return p, nil
}

// absolute refuses what is not the plain absolute path of something.
func absolute(what, file string) error {
	if !path.IsAbs(file) || file == "/" || path.Clean(file) != file {
		return fmt.Errorf("%s %q: not the plain absolute path of a file", what, file)
	}
	if err := plain(file); err != nil {
		return fmt.Errorf("%s %q: %w", what, file, err)
	}
	return nil
}

// plain refuses control characters, line ends above all: in a unit a new line is a new setting. U+2028 and its kin
// are refused with them, because what a person reviews must be what the service manager reads.
func plain(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("is not UTF-8")
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return fmt.Errorf("contains the control character %U", r)
		}
	}
	return nil
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

func isName(s string) bool {
	return s != "" && strings.Trim(s, nameBytes) == "" && (s[0] < '0' || s[0] > '9')
}
