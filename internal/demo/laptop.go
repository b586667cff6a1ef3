package demo

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// SourceVariable names the file that says where a laptop is: one loopback address. The program sends its echo questions and its SSH
// connections from there, and takes a change of the file as a network event.
const SourceVariable = "EMR_ACCESSD_DEMO_SOURCE"

// Laptop is one person's computer: an AWS user, an installation of the program, and a place in the network.
type Laptop struct {
	// Name is the person's.
	Name string
	// AccessKey and UserID are the person's in AWS.
	AccessKey, UserID string
	// ConfigPath, StateDir and SourcePath are the configuration file, the state folder, and the file with the address.
	ConfigPath, StateDir, SourcePath string

	world *World
	home  string
}

// newLaptop makes a person's AWS user, home and configuration.
func (w *World) newLaptop(name, accessKey, userID string, at netip.Addr) (*Laptop, error) {
	home := filepath.Join(w.dir, name)
	l := &Laptop{
		Name: name, AccessKey: accessKey, UserID: userID, world: w, home: home,
		ConfigPath: filepath.Join(home, "config.toml"), StateDir: filepath.Join(home, "state"), SourcePath: filepath.Join(home, "address"),
	}
	w.sim.AddPrincipal(accessKey, awssim.Principal{UserID: userID, ARN: "arn:aws:iam::" + w.sim.Options().Account + ":user/" + name})
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(l.ConfigPath, []byte(l.config()), 0o600); err != nil {
		return nil, err
	}
	return l, l.Move(at)
}

// config is the laptop's configuration. Everything that is not here has its default.
func (l *Laptop) config() string {
	w := l.world
	var b strings.Builder
	fmt.Fprintf(&b, "[[target]]\ncluster = %q\nregion  = %q\naccount = %q\nport    = %d   # nobody may listen on 22 without privileges\n\n",
		w.cloud.cluster, region, w.sim.Options().Account, w.node.listen.Port())
	b.WriteString("[address]\nipv6   = \"off\"\naccept = [\"127.0.0.0/8\"]   # loopback addresses stand for public ones here\nstun   = []\n")
	for _, e := range w.echoes {
		// The path tells who asks, for systems without real source addresses.
		fmt.Fprintf(&b, "\n[[address.source]]\nurl      = %q\noperator = %q\nca-file  = %s\n", e.url+l.Name, e.operator, tomlLiteral(w.caFile))
	}
	b.WriteString("\n[rules]\nprobe = false   # the demo tries the gate itself, and counts\n")
	b.WriteString("\n[notify]\ndesktop = false # what happens here is no news for a real desktop\n")
	return b.String()
}

// tomlLiteral writes a path, which on Windows has backslashes, as a TOML string.
func tomlLiteral(path string) string {
	if strings.ContainsAny(path, "'\n") {
		return fmt.Sprintf("%q", path)
	}
	return "'" + path + "'"
}

// Move takes the laptop to another address: it rewrites the file that says where the laptop is, in one step.
func (l *Laptop) Move(to netip.Addr) error {
	if !to.Is4() || !to.IsLoopback() {
		return fmt.Errorf("move %s's laptop: %s is no IPv4 loopback address", l.Name, to)
	}
	next := l.SourcePath + ".next"
	if err := os.WriteFile(next, []byte(to.String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("move %s's laptop: %w", l.Name, err)
	}
	if err := os.Rename(next, l.SourcePath); err != nil {
		return fmt.Errorf("move %s's laptop: %w", l.Name, err)
	}
	return nil
}

// Address is where the laptop is: what its file says, whoever wrote it. It is the zero Addr when the file says nothing
// that makes sense.
func (l *Laptop) Address() netip.Addr {
	text, err := os.ReadFile(l.SourcePath)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil || !a.Is4() || !a.IsLoopback() {
		return netip.Addr{}
	}
	return a
}

// Vars are the variables that make the program, and other AWS tools, act in the world as this person.
func (l *Laptop) Vars() []string {
	nowhere := filepath.Join(l.home, "none") // so that nobody's real profiles are read
	return []string{
		"AWS_ENDPOINT_URL=" + l.world.endpoint,
		"AWS_ACCESS_KEY_ID=" + l.AccessKey,
		"AWS_SECRET_ACCESS_KEY=demo",
		"AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region,
		"AWS_CONFIG_FILE=" + nowhere,
		"AWS_SHARED_CREDENTIALS_FILE=" + nowhere,
		"AWS_EC2_METADATA_DISABLED=true",
		"EMR_ACCESSD_CONFIG=" + l.ConfigPath,
		"EMR_ACCESSD_STATE=" + l.StateDir,
		SourceVariable + "=" + l.SourcePath,
	}
}

// Env is the whole environment of a child process that acts as this person: the variables of Vars, a home of its own,
// and of this process's environment only what programs need to start. Nobody's keys, agent or profiles get in.
func (l *Laptop) Env() []string {
	keep := []string{"PATH", "TMPDIR", "TMP", "TEMP", "LANG", "TZ", "TERM", "GOCOVERDIR"}
	if runtime.GOOS == "windows" {
		keep = append(keep, "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT")
	}
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(keep, strings.ToUpper(name)) || strings.HasPrefix(name, "LC_") {
			env = append(env, kv)
		}
	}
	for _, name := range []string{"HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"} {
		env = append(env, name+"="+l.home)
	}
	return append(env, l.Vars()...)
}
