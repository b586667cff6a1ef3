package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// pages renders every page, as "man --to" does after the root command has been run.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root := newRoot(&app{})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("man")
	all := map[string]string{}
	for _, cmd := range documented(root) {
		all[manName(cmd)] = manPage(cmd, "1.2.3", time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
	}
	return all
}

// Every command has a page, in ASCII, of macros that man(7) knows.
func TestManPages(t *testing.T) {
	all := pages(t)
	for _, name := range []string{"emr-accessd", "emr-accessd-connect", "emr-accessd-completion-bash", "emr-accessd-man"} {
		if all[name] == "" {
			t.Errorf("there is no page %s", name)
		}
	}
	for _, cmd := range newRoot(&app{}).Commands() {
		if !cmd.Hidden && !strings.Contains(all["emr-accessd"], roffBold(manName(cmd))+"(1)\n") {
			t.Errorf("emr-accessd(1) does not name %s", cmd.Name())
		}
	}
	known := " TH SH PP TP RS RE nf fi "
	for name, page := range all {
		for _, line := range strings.Split(page, "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s: not ASCII: %q", name, line)
			}
			macro, _, _ := strings.Cut(strings.TrimPrefix(line, "."), " ")
			if strings.HasPrefix(line, ".") && !strings.Contains(known, " "+macro+" ") || strings.HasPrefix(line, "'") {
				t.Errorf("%s: no macro: %q", name, line)
			}
		}
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"} {
			if !strings.Contains(page, "\n.SH "+section+"\n") {
				t.Errorf("%s: has no section %s", name, section)
			}
		}
	}
	// What --help hides is in the manual: every key of the configuration is an option.
	if !strings.Contains(all["emr-accessd"], `\fB\-\-ipv6\-prefix\fR`) || strings.Contains(all["emr-accessd-connect"], `ipv6\-prefix`) {
		t.Error("the options from the configuration belong on the first page, and only there")
	}
}

func TestManPageText(t *testing.T) {
	root := &cobra.Command{Use: "tool", Short: "a tool"}
	cmd := &cobra.Command{
		Use: "do FILE", Short: "do \"it\" - now", Run: func(*cobra.Command, []string) {},
		Long: "First line\n.SH not a macro\n'nor this\n\nA \\n b-c ~ ^ ` … of “two”.\n\n  as it is\n    deeper\n\n  after a gap\nback\x1b[2J",
	}
	cmd.Flags().StringP("out", "o", "here", "where to write the `file`; -x is \"no\"")
	cmd.Flags().Bool("yes", false, ".hidden at the start")
	root.AddCommand(cmd)
	got := manPage(cmd, "1\n.SH x", time.Time{})
	want := `.TH "TOOL-DO" "1" "" "emr-accessd 1 .SH x" "User Commands"
.SH NAME
tool\-do \- do "it" \- now
.SH SYNOPSIS
\fBtool do\fR FILE [flags]
.SH DESCRIPTION
First line
\&.SH not a macro
\(aqnor this
.PP
A \en b\-c \(ti \(ha \(ga \[u2026] of \[u201C]two\[u201D].
.PP
.RS 2
.nf
as it is
  deeper

after a gap
.fi
.RE
.PP
back [2J
.SH OPTIONS
.TP
\fB\-o\fR, \fB\-\-out\fR \fIfile\fR
where to write the file; \-x is "no" (default here)
.TP
\fB\-\-yes\fR
\&.hidden at the start
.SH SEE ALSO
\fBtool\fR(1), which has the options of all commands, the files and the exit codes.
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestManCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "man1")
	var out, errs strings.Builder
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"man", "connect"}, 0, `.TH "EMR-ACCESSD-CONNECT"`},
		{[]string{"man"}, 0, `.TH "EMR-ACCESSD"`},
		{[]string{"man", "completion", "bash"}, 0, `.TH "EMR-ACCESSD-COMPLETION-BASH"`},
		{[]string{"man", "nothing"}, 2, `there is no command "nothing"`},
		{[]string{"man", "--to", dir, "connect"}, 2, "name no command"},
		{[]string{"man", "--to", dir}, 0, ""},
		{[]string{"man", "--to", "/dev/null/x"}, 1, "/dev/null"},
	} {
		out.Reset()
		errs.Reset()
		code := run(t.Context(), test.args, streams{In: os.Stdin, Out: &out, Err: &errs})
		if code != test.code || !strings.Contains(out.String()+errs.String(), test.says) {
			t.Errorf("%q: %d, %s%s", test.args, code, out.String(), errs.String())
		}
	}
	for name, page := range pages(t) {
		text, err := os.ReadFile(filepath.Join(dir, name+".1"))
		if err != nil || !strings.Contains(string(text), page[strings.Index(page, ".SH NAME"):]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
