package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// manCommand prints manual pages. They are made from what --help says, so that the two never differ, and by the
// program itself, so that whoever built it has them too.
func (a *app) manCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "print the manual page of a command, or write them all",
		Long: `Prints the manual page of emr-accessd, or of one of its commands, for man(1) to show.
With --to it writes all of them into a folder. Packages have them already.`,
		Example: `  emr-accessd man connect | man -l -
  emr-accessd man --to ~/.local/share/man/man1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if to == "" {
				page, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return usageError{fmt.Errorf("there is no command %q", strings.Join(args, " ")), cmd.CommandPath()}
				}
				_, err = fmt.Fprint(a.Out, manPage(page, version(), buildDate()))
				return err
			}
			if len(args) > 0 {
				return usageError{errors.New("--to writes all pages: name no command"), cmd.CommandPath()}
			}
			return writeManPages(root, to)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "write all pages into this `folder`")
	return cmd
}

func writeManPages(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, cmd := range documented(root) {
		file := filepath.Join(dir, manName(cmd)+".1")
		if err := os.WriteFile(file, []byte(manPage(cmd, version(), buildDate())), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// documented is a command with all below it that --help shows; "help" explains itself.
func documented(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			all = append(all, documented(sub)...)
		}
	}
	return all
}

// manName is the name of a command's page, without its section.
func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage renders a page for section 1 in the language of man(7).
func manPage(cmd *cobra.Command, version string, date time.Time) string {
	var p roff
	day := ""
	if !date.IsZero() {
		day = date.Format(time.DateOnly)
	}
	p.macro("TH", strings.ToUpper(manName(cmd)), "1", day, "emr-accessd "+version, "User Commands")
	p.section("NAME")
	p.line(roffText(manName(cmd)) + ` \- ` + roffText(cmd.Short))
	p.section("SYNOPSIS")
	if cmd.HasAvailableSubCommands() {
		p.line(roffBold(cmd.CommandPath()) + ` \fIcommand\fR [\fIflags\fR]`)
	} else {
		p.line(roffBold(cmd.CommandPath()) + roffText(strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath())))
	}
	p.section("DESCRIPTION")
	if cmd.Long != "" {
		p.prose(cmd.Long)
	} else {
		p.prose(roffSentence(cmd.Short))
	}
	if cmd.HasExample() {
		p.section("EXAMPLES")
		p.prose(cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		p.section("COMMANDS")
		for _, sub := range documented(cmd)[1:] {
			if sub.Parent() == cmd {
				p.item(roffBold(manName(sub))+"(1)", sub.Short)
			}
		}
	}
	if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
		p.section("OPTIONS")
		p.flags(flags, false)
	}
	if cmd.HasParent() {
		p.section("SEE ALSO")
		parent := cmd.Parent()
		p.line(roffBold(manName(parent)) + `(1), which has the options of all commands, the files and the exit codes.`)
		return p.String()
	}
	p.section("OPTIONS FROM THE CONFIGURATION")
	p.prose("Every key of the configuration is an option too. It counts for this call, before the file.")
	p.flags(cmd.PersistentFlags(), true)
	p.common()
	return p.String()
}

func roffSentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
