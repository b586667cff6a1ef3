package emraccessd_test

import (
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/emr-accessd/emr-accessd/"

// maxLines keeps a file readable in one go. A longer one has two subjects.
const maxLines = 400

// layers has the height of every package. A package imports only lower ones, so that what decides (sgsync,
// ipwatch) can be read and tested without what acts, and so that keeper and awsclient meet in cmd alone.
var layers = map[string]int{
	"internal/sgsync": 0, "internal/ipwatch": 0,
	"internal/netpath":  0,                        // pure; awsclient reads what it judges
	"internal/mototest": 0, "internal/bootlab": 0, // for tests alone
	"internal/daemonlog": 0,
	"internal/keeper":    1, "internal/awsclient": 1, "internal/sshsession": 1, "internal/config": 1, "internal/awssim": 1,
	"internal/transfer":  1,
	"internal/notify":    1, // knows nothing of what it tells
	"packaging":          1,
	"internal/svcmgr":    2, // writes what packaging renders
	"packaging/release":  1, // makes the packages; needs nothing of the program but its sources
	"internal/iampolicy": 1, // pure; besides the command, the tests of all calls read it
	"internal/tunnel":    2, // listens here, and has the connections made by sshsession's server
	"internal/demo":      2, // puts the simulated AWS and a real SSH server together
	"internal/netlab":    2, // networks for tests and benchmarks, with the simulated AWS in them
	"bench/cron":         0, // what emr-accessd is compared with
	"cmd/emr-accessd":    3, "bench/roam": 3, "bench/ssh": 3, "bench/soak": 3, "bench/peers": 3, "bench/fuzz": 3, "bench/mutate": 3, "bench/cover": 3, "bench/cost": 3,
}

// reserved modules are imported by some packages only.
var reserved = []struct {
	module, by, why string // by is a list with spaces
}{
	{"github.com/aws", "internal/awsclient", "its EC2 package takes minutes to compile, and its types and errors would spread"},
	{"golang.org/x/crypto/ssh", "internal/sshsession internal/demo", "host keys must be verified in one place (demo has the server)"},
	{"github.com/skeema/knownhosts", "internal/sshsession", "host keys must be verified in one place"},
	{"github.com/pkg/sftp", "internal/transfer internal/demo", "names that a server tells must be checked in one place (demo has the server)"},
	{"golang.org/x/term", "internal/sshsession cmd/emr-accessd", "a terminal in raw mode must be restored on every way out (cmd asks whether there is one)"},
	{"github.com/godbus", "internal/notify", "the session's bus is there to show a text, and no more"},
	{"github.com/kardianos/service", "cmd/emr-accessd", "the service is one way to start the program, not a part of it"},
	{"github.com/spf13", "cmd/emr-accessd", "flags belong to the commands"},
	{"github.com/pelletier/go-toml", "internal/config", "the file is read in one place"},
	{"html/template", "", "its reflection keeps every method of every type in the program: all of EC2, 34 MB"},
	{"text/template", "packaging/release", "the same; what makes the packages is no part of the program"},
	{"testing", "internal/mototest", "the program must not carry its tests"},
	{module + "internal/mototest", "", "it is for tests alone"},
	{module + "internal/bootlab", "", "it boots a container as root: for tests alone"},
	{module + "internal/netlab", "bench/roam bench/soak", "it changes the computer's networks as root: for tests and benchmarks alone"},
}

func TestLayers(t *testing.T) {
	for _, v := range violations(os.DirFS(".")) {
		t.Error(v)
	}
}

// violations reads every Go file below root and says which rules of the architecture it breaks.
func violations(root fs.FS) []string {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	docs := map[string][]string{} // of each package: the files with a package comment
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name != "." && strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if stem := strings.TrimSuffix(name, ".go"); slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types"}, stem) {
			report("%s: says nothing about what is in it; name it after its subject", file)
		}
		if d.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		if n := strings.Count(string(text), "\n"); n > maxLines {
			report("%s: %d lines are more than %d; does it still have one subject?", file, n, maxLines)
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := path.Dir(file)
		if _, seen := docs[pkg]; !seen {
			docs[pkg] = nil
		}
		if parsed.Doc != nil {
			docs[pkg] = append(docs[pkg], name)
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if v := checkImport(pkg, imported); v != "" {
				report("%s: imports %s: %s", file, imported, v)
			}
		}
		return nil
	})
	if err != nil {
		report("%v", err)
	}
	for _, pkg := range slices.Sorted(maps.Keys(docs)) {
		if _, ok := layers[pkg]; !ok {
			report("%s: has no place in the layers; another package is made when a second consumer exists, and then it is entered here", pkg)
		}
		if len(docs[pkg]) != 1 {
			report("%s: %d package comments %v instead of one, in doc.go: the sentence that a newcomer needs", pkg, len(docs[pkg]), docs[pkg])
		}
	}
	return found
}

// checkImport says why a package may not import another, or "".
func checkImport(pkg, imported string) string {
	ours, _ := strings.CutPrefix(imported, module)
	if there, known := layers[ours]; known && there >= layers[pkg] {
		return fmt.Sprintf("imports point only down, and it stands on layer %d, %s on %d", there, pkg, layers[pkg])
	}
	for _, r := range reserved {
		if strings.HasPrefix(imported+"/", r.module+"/") && !slices.Contains(strings.Fields(r.by), pkg) {
			return "only " + strings.ReplaceAll(cmp.Or(r.by, "tests"), " ", " and ") + " may: " + r.why
		}
	}
	return ""
}

// The rules are worth nothing unless they fail: each planted violation is found, and by its own rule.
func TestLayersAreEnforced(t *testing.T) {
	const doc = "// Package x is.\npackage x\n"
	plant := func(files ...string) fstest.MapFS {
		fsys := fstest.MapFS{}
		for i := 0; i < len(files); i += 2 {
			fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return fsys
	}
	importing := func(what string) string { return doc + "import _ \"" + what + "\"\n" }
	tests := []struct {
		name string
		fsys fstest.MapFS
		want string // "" is no violation
	}{
		{"down", plant("internal/keeper/a.go", importing(module+"internal/sgsync")), ""},
		{"up", plant("internal/sgsync/a.go", importing(module+"internal/keeper")), "imports point only down"},
		{"sideways", plant("internal/keeper/a.go", importing(module+"internal/awsclient")), "imports point only down"},
		{"tests may", plant("internal/keeper/a.go", doc, "internal/keeper/a_test.go", importing(module+"internal/awsclient")), ""},
		{"SDK in its place", plant("internal/awsclient/a.go", importing("github.com/aws/aws-sdk-go-v2/service/ec2")), ""},
		{"SDK elsewhere", plant("cmd/emr-accessd/a.go", importing("github.com/aws/smithy-go")), "only internal/awsclient may: its EC2"},
		{"ssh in demo", plant("internal/demo/a.go", importing("golang.org/x/crypto/ssh")), ""},
		{"ssh elsewhere", plant("cmd/emr-accessd/a.go", importing("golang.org/x/crypto/ssh/agent")), "only internal/sshsession and internal/demo may"},
		{"other crypto", plant("internal/demo/a.go", importing("golang.org/x/crypto/sshsig")), ""},
		{"known hosts", plant("internal/demo/a.go", importing("github.com/skeema/knownhosts")), "only internal/sshsession may"},
		{"terminal", plant("internal/keeper/a.go", importing("golang.org/x/term")), "only internal/sshsession and cmd/emr-accessd may: a terminal"},
		{"testing", plant("internal/keeper/a.go", importing("testing/synctest")), "only internal/mototest may"},
		{"moto", plant("internal/keeper/a.go", importing(module+"internal/mototest")), "only tests may"},
		{"moto in tests", plant("internal/keeper/a.go", doc, "internal/keeper/a_test.go", importing(module+"internal/mototest")), ""},
		{"networks", plant("cmd/emr-accessd/a.go", importing(module+"internal/netlab")), "only bench/roam and bench/soak may: it changes"},
		{"service", plant("internal/keeper/a.go", importing("github.com/kardianos/service")), "only cmd/emr-accessd may"},
		{"toml", plant("cmd/emr-accessd/a.go", importing("github.com/pelletier/go-toml/v2/unstable")), "only internal/config may"},
		{"new package", plant("internal/magic/a.go", doc), "internal/magic: has no place in the layers"},
		{"no comment", plant("internal/keeper/a.go", "package keeper\n"), "0 package comments"},
		{"two comments", plant("internal/keeper/a.go", doc, "internal/keeper/b.go", doc), "2 package comments [a.go b.go]"},
		{"long", plant("internal/keeper/a.go", doc+strings.Repeat("\n", maxLines)), "402 lines are more than 400"},
		{"long test", plant("internal/keeper/a.go", doc, "internal/keeper/a_test.go", strings.Repeat("\n", 401)), "a_test.go: 401 lines"},
		{"file name", plant("internal/keeper/util.go", doc), "says nothing about what is in it"},
		{"folder name", plant("internal/helpers/doc.txt", ""), "internal/helpers: says nothing"},
		{"testdata", plant("internal/keeper/testdata/util.go", "no Go at all"), ""},
		{"no Go", plant("internal/keeper/a.go", "func"), "expected 'package'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := violations(test.fsys)
			if (test.want == "") != (len(found) == 0) || len(found) > 1 || len(found) == 1 && !strings.Contains(found[0], test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}
