package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// roff is a page in the language of man(7), as it grows.
type roff struct{ strings.Builder }

func (p *roff) line(s string) { p.WriteString(s + "\n") }

func (p *roff) macro(name string, args ...string) {
	p.WriteString("." + name)
	for _, arg := range args {
		p.WriteString(` "` + strings.ReplaceAll(strings.ReplaceAll(roffText(arg), `"`, `\(dq`), `\-`, "-") + `"`)
	}
	p.WriteString("\n")
}

func (p *roff) section(name string) { p.line(".SH " + name) }

// item is a term with its explanation; the term is roff already.
func (p *roff) item(term, text string) {
	p.line(".TP")
	p.line(term)
	p.line(roffText(text))
}

// prose takes a text as --help shows it: paragraphs, and indented lines that stay as they are.
func (p *roff) prose(s string) {
	inBlock, between := false, false
	begins := strings.HasPrefix(strings.TrimLeft(s, "\n"), " ") // a section begins a paragraph by itself
	for line := range strings.Lines(strings.Trim(s, "\n") + "\n") {
		line = strings.TrimRight(line, " \n")
		asIs := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
		switch {
		case line == "":
			between = true
			continue
		case asIs && begins:
			p.line(".RS 2\n.nf")
		case asIs && !inBlock:
			p.line(".PP\n.RS 2\n.nf")
		case asIs && between:
			p.line("")
		case !asIs && inBlock:
			p.line(".fi\n.RE\n.PP")
		case between:
			p.line(".PP")
		}
		inBlock, between, begins = asIs, false, false
		if asIs {
			line = strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(line, "\t"), "  "), "\t", "    ")
		}
		p.line(roffText(line))
	}
	if inBlock {
		p.line(".fi\n.RE")
	}
}

// flags lists options: those that --help shows, or those that it hides.
func (p *roff) flags(set *pflag.FlagSet, hidden bool) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden != hidden || f.Deprecated != "" || f.Name == "help" {
			return
		}
		term := roffBold("--" + f.Name)
		if f.Shorthand != "" {
			term = roffBold("-"+f.Shorthand) + ", " + term
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			term += ` \fI` + roffText(value) + `\fR`
		}
		switch f.DefValue {
		case "", "0", "0s", "false", "[]", "<nil>":
		default:
			usage += " (default " + f.DefValue + ")"
		}
		p.item(term, usage)
	})
}

// common has what is the same for all commands, on the page of the program itself.
func (p *roff) common() {
	p.section("EXIT STATUS")
	for _, code := range [][2]string{
		{"0", "done"},
		{"1", "failed"},
		{"2", "a mistake on the command line or in the configuration"},
		{"3", "findings, pending changes or missing permissions, by commands that look for them"},
		{"4", "credentials: sign in to AWS again"},
		{"5", "the own address is not known for certain"},
	} {
		p.item(roffBold(code[0]), code[1])
	}
	p.line(".PP")
	p.prose("connect ends with the remote exit status, or with 255 for its own failures.")
	p.section("ENVIRONMENT")
	p.item(roffBold("EMR_ACCESSD_CONFIG"), "another configuration file")
	p.item(roffBold("EMR_ACCESSD_STATE"), "another state folder")
	p.item(roffBold("NO_COLOR"), "no colours, whatever the value")
	p.line(".PP")
	p.prose("AWS_PROFILE, AWS_REGION, AWS_CONFIG_FILE and the others mean what they mean to the aws command.")
	p.section("FILES")
	p.item(roffBold("~/.config/emr-accessd/config.toml"), "the configuration (macOS: ~/Library/Application Support/emr-accessd/config.toml)")
	p.item(roffBold("~/.local/state/emr-accessd"), "the state folder, with the host keys (macOS: as above)")
	p.section("SEE ALSO")
	p.line(roffBold("ssh") + "(1), " + roffBold("ssh_config") + "(5), " + roffBold("systemctl") + "(1)")
	p.line(".PP")
	p.prose("The texts in docs/ come with the program; Linux packages put them into /usr/share/doc/emr-accessd.")
}

func roffBold(s string) string { return `\fB` + roffText(s) + `\fR` }

// roffText makes a line of text that means nothing to roff. Hyphens become the minus that can be copied into a
// shell; what is not ASCII is named by its number, so that the page needs no encoding.
func roffText(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '.' && i == 0:
			b.WriteString(`\&.`)
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		case r > 0x7e:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
