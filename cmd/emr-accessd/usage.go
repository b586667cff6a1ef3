package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The groups in which --help shows the commands. Those without one are for once, or for other programs.
const (
	groupSetUp   = "set-up"
	groupConnect = "connect"
	groupRules   = "rules"
	groupWho     = "who"
	groupService = "service"
)

var groups = []struct {
	id, title string
	commands  []string
}{
	{groupSetUp, "To begin with:", []string{"demo", "init", "clusters", "policy", "completion"}},
	{groupConnect, "Get in:", []string{"connect", "put", "get", "tunnel", "ssh-config", "doctor"}},
	{groupRules, "Your rules:", []string{"sync", "status", "ip", "revoke", "pause", "resume"}},
	{groupWho, "Who else gets in:", []string{"audit", "close-public", "sweep"}},
	{groupService, "In the background:", []string{"install", "uninstall", "start", "stop", "restart", "logs", "run"}},
}

// group sorts the commands, which have all been added.
func group(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, name := range g.commands {
			if cmd, _, err := root.Find([]string{name}); err == nil {
				cmd.GroupID = g.id
			}
		}
	}
	if cmd, _, err := root.Find([]string{"completion"}); err == nil {
		cmd.Short = "have bash, zsh, fish or PowerShell complete commands, flags and clusters"
	}
}

// helpCommand is `help`, for which a command that is not there is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "the same as --help after the command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return noCommand(cmd.Root(), strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag() // else it is not shown
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() && strings.HasPrefix(c.Name(), begun) {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// onlyCommands are the arguments of the program itself.
func onlyCommands(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return noCommand(root, args[0])
}

func noCommand(root *cobra.Command, name string) error {
	err := fmt.Errorf("there is no command %q", name)
	if like := root.SuggestionsFor(name); len(like) > 0 {
		return hinted{err, exitUsage, "did you mean " + strings.Join(like, " or ") + "?"}
	}
	return usageError{err, root.CommandPath()}
}

// plainFlag says what is wrong with a flag, in place of Go's parsers.
func plainFlag(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	want, ok := map[string]string{"int": "a number", "duration": "a time, such as 90s, 30m or 2h", "bool": "true or false", "stringToString": "key=value"}[wrong.GetFlag().Value.Type()]
	if !ok {
		return err
	}
	return fmt.Errorf("--%s %q: want %s", wrong.GetFlag().Name, wrong.GetValue(), want)
}

// plainArguments says what is wrong with the number of arguments, in place of cobra.
func plainArguments(cmd *cobra.Command, err error) error {
	var most, have int
	text := err.Error()
	for _, form := range []string{"accepts %d arg(s), received %d", "accepts at most %d arg(s), received %d", "requires at least %d arg(s), only received %d"} {
		if n, _ := fmt.Sscanf(text, form, &most, &have); n == 2 {
			return fmt.Errorf("%s; want: %s", counted(have, "argument"), cmd.UseLine())
		}
	}
	if strings.HasPrefix(text, "unknown command ") && strings.HasSuffix(text, fmt.Sprintf(" for %q", cmd.CommandPath())) { // of cobra.NoArgs
		return errors.New("it takes no arguments: " + cmd.UseLine())
	}
	return err
}
