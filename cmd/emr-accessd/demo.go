package main

import (
	"os"

	"github.com/emr-accessd/emr-accessd/internal/demo"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (a *app) demoCommand() *cobra.Command {
	var serve bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "the whole story without an AWS account: simulated AWS, a real SSH server, two networks",
		Long: `Shows what emr-accessd does, and checks it while it does: a simulated AWS with one
EMR cluster, a real SSH server behind a gate that enforces the security group's
rules, and a laptop that moves between networks. Everything stays on this computer's
loopback addresses. It takes some seconds and exits 0 only if each step was seen.

With --serve the world stays up, and prints the environment in which every command
(and the aws command) can be tried against it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return err
			}
			o := demo.Options{Program: exe, Out: a.Out, Err: a.Err}
			if f, ok := a.Out.(*os.File); ok {
				o.Color = term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
			}
			if serve {
				return demo.Serve(cmd.Context(), o)
			}
			return demo.Story(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&serve, "serve", false, "keep the world up and print its environment")
	return cmd
}
