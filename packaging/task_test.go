package packaging_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/emr-accessd/emr-accessd/packaging"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func task() packaging.TaskParams {
	return packaging.TaskParams{Executable: `C:\Users\Zoë & Co\bin\emr-accessd.exe`, SID: "S-1-5-21-1004336348-1177238915-682003330-1001",
		Args: []string{"run", "--log-to-file", "--env-file", `C:\Users\Zoë & Co\AppData\Roaming\emr-accessd\service.env`, "", `a"b\`, `c\"d e`, `f g\`}}
}

func TestTaskGolden(t *testing.T) {
	const file = "testdata/task.xml"
	got, err := packaging.LogonTask(task())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-file +rendered; go test -update writes it)\n%s", diff)
	}
}

// A parser that is none of ours reads back what was put in.
func TestTaskReadsBack(t *testing.T) {
	p := task()
	text, err := packaging.LogonTask(p)
	if err != nil {
		t.Fatal(err)
	}
	bytes16 := packaging.UTF16(text)
	if !bytes.HasPrefix(bytes16, []byte{0xff, 0xfe, '<', 0}) || len(bytes16)%2 != 0 {
		t.Errorf("the file begins with % x", bytes16[:4])
	}
	var units []uint16
	for i := 2; i < len(bytes16); i += 2 {
		units = append(units, uint16(bytes16[i])|uint16(bytes16[i+1])<<8)
	}
	if string(utf16.Decode(units)) != text {
		t.Error("the encoding changes the text")
	}
	var got struct {
		XMLName   xml.Name `xml:"http://schemas.microsoft.com/windows/2004/02/mit/task Task"`
		Trigger   string   `xml:"Triggers>LogonTrigger>UserId"`
		User      string   `xml:"Principals>Principal>UserId"`
		Logon     string   `xml:"Principals>Principal>LogonType"`
		Level     string   `xml:"Principals>Principal>RunLevel"`
		Limit     string   `xml:"Settings>ExecutionTimeLimit"`
		OnBattery bool     `xml:"Settings>DisallowStartIfOnBatteries"`
		Stops     bool     `xml:"Settings>StopIfGoingOnBatteries"`
		Command   string   `xml:"Actions>Exec>Command"`
		Arguments string   `xml:"Actions>Exec>Arguments"`
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Trigger != p.SID || got.User != p.SID || got.Logon != "InteractiveToken" || got.Level != "LeastPrivilege" || got.Limit != "PT0S" || got.OnBattery || got.Stops {
		t.Errorf("%+v", got)
	}
	if got.Command != p.Executable {
		t.Errorf("the program is %q", got.Command)
	}
	if diff := cmp.Diff(p.Args, commandLine(got.Arguments)); diff != "" {
		t.Errorf("the arguments (-want +got)\n%s", diff)
	}
}

// commandLine takes a command line apart as the C runtime of Windows does: 2n backslashes and a quote are n of them and
// a quote that opens or closes, 2n+1 are n of them and a quote.
func commandLine(s string) (args []string) {
	var b strings.Builder
	in, some := false, false
	for i := 0; i < len(s); {
		n := 0
		for i < len(s) && s[i] == '\\' {
			n++
			i++
		}
		if i < len(s) && s[i] == '"' {
			b.WriteString(strings.Repeat(`\`, n/2))
			some = true
			if n%2 == 1 {
				b.WriteByte('"')
			} else {
				in = !in
			}
			i++
			continue
		}
		b.WriteString(strings.Repeat(`\`, n))
		some = some || n > 0
		switch {
		case i == len(s):
		case (s[i] == ' ' || s[i] == '\t') && !in:
			if some {
				args = append(args, b.String())
			}
			b.Reset()
			some = false
			i++
		default:
			b.WriteByte(s[i])
			some = true
			i++
		}
	}
	if some {
		args = append(args, b.String())
	}
	return args
}

func TestTaskArguments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := task()
		p.Args = rapid.SliceOfN(rapid.StringMatching(`[a-zé \\"<&%^]{0,8}`), 1, 5).Draw(rt, "args")
		text, err := packaging.LogonTask(p)
		if err != nil {
			rt.Fatal(err)
		}
		_, rest, _ := strings.Cut(text, "<Arguments>")
		rest, _, _ = strings.Cut(rest, "</Arguments>")
		var line string
		if err := xml.Unmarshal([]byte("<a>"+rest+"</a>"), &line); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(p.Args, commandLine(line)); diff != "" {
			rt.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestTaskRefused(t *testing.T) {
	for name, change := range map[string]func(*packaging.TaskParams){
		"relative":  func(p *packaging.TaskParams) { p.Executable = `bin\emr-accessd.exe` },
		"share":     func(p *packaging.TaskParams) { p.Executable = `\\server\emr-accessd.exe` },
		"quote":     func(p *packaging.TaskParams) { p.Executable = `C:\a"b.exe` },
		"new line":  func(p *packaging.TaskParams) { p.Executable = "C:\\a\nb.exe" },
		"control":   func(p *packaging.TaskParams) { p.Args = []string{"\x1b"} },
		"variable":  func(p *packaging.TaskParams) { p.Args = []string{"$(Arg0)"} },
		"no user":   func(p *packaging.TaskParams) { p.SID = "" },
		"user name": func(p *packaging.TaskParams) { p.SID = `CORP\alice` },
		"user, xml": func(p *packaging.TaskParams) { p.SID = "S-1-5</UserId>" },
	} {
		p := task()
		change(&p)
		if text, err := packaging.LogonTask(p); err == nil || text != "" {
			t.Errorf("%s: rendered\n%s", name, text)
		}
	}
}
