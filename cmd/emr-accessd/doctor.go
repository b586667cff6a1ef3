package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

// doctorAnswer is `doctor --json`; docs/json.md describes it.
type doctorAnswer struct {
	Checks   []doctorCheck `json:"checks"`
	Bad      int           `json:"bad"`
	WhatToDo string        `json:"what_to_do"`
	At       time.Time     `json:"at"`
}

// doctorCheck is one check.
type doctorCheck struct {
	Subject string   `json:"subject"` // "this computer", an AWS profile and region, or a target
	Check   string   `json:"check"`
	State   string   `json:"state"` // ok, bad, unknown or skipped
	Seen    string   `json:"seen"`
	Remedy  string   `json:"remedy"`
	Notes   []string `json:"notes"`
	TookMS  float64  `json:"took_ms"`
}

// doctorFlags are the flags of doctor alone.
type doctorFlags struct {
	host     string
	node     string
	which    nodeChoice // node, once it has been read
	identity []string
	login    string
}

func (a *app) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor [CLUSTER…]",
		Short: "why can't I connect: everything on the way, checked in order, each with its remedy",
		Long: `Looks at everything between you and a shell on the cluster's primary node, in order:
your configuration and the service; your public address; AWS credentials, identity,
clock and permissions; the cluster, its node and the groups on its network interface;
your rule, and who else admits you; network ACL and route table; the way that your
packets take; TCP, the SSH server, its host key, your login key, and a login. What is
bad comes with its remedy, and what comes after is looked at as far as that makes sense.

It changes nothing, in AWS or here: no rule is written, no host key stored. The login
is only tried where the host key is verified and no passphrase is needed; nothing is
run but the question which address the node sees you come from.

Without a CLUSTER it looks at all targets of the configuration.

Exit codes: 0 nothing is bad, 3 something is bad, 1 interrupted, 2 usage.`,
		Example: `  emr-accessd doctor j-2AXXXXXXGAPLF
  emr-accessd doctor -i ~/.ssh/team.pem j-2AXXXXXXGAPLF
  emr-accessd doctor --node core:0 j-2AXXXXXXGAPLF
  emr-accessd doctor                     # all targets; on a first day, this computer alone
  emr-accessd doctor --json j-2AXXXXXXGAPLF | jq '.checks[] | select(.state == "bad")'`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.which, err = parseNode(f.node); err != nil {
				return err
			}
			return a.doctor(cmd.Context(), args, f)
		},
	}
	cmd.Flags().StringVar(&f.host, "host", "", "`host[:port]` to connect to in place of the node's address")
	registerNode(cmd, &f.node)
	cmd.Flags().StringArrayVarP(&f.identity, "identity", "i", nil, "private key `file` to log in with")
	cmd.Flags().StringVarP(&f.login, "login", "l", "", "user to log in as (default: the one of your ssh configuration, or hadoop)")
	return cmd
}

// doctorTime ends all looks together: somebody waits in front of it.
const doctorTime = 90 * time.Second

// doctor is one run of the command.
type doctor struct {
	*app
	doctorFlags
	answer  doctorAnswer
	broken  bool // the configuration cannot be used
	store   *keeper.Store
	det     *ipwatch.Detector
	seen    map[ipwatch.Family]ipwatch.Observation // set by address
	address *exam
	signIns map[string]*signedIn // by profile|region|account
	page    *doctorPage          // nil with --json
}

func (a *app) doctor(ctx context.Context, args []string, f doctorFlags) error {
	a.status = newProgress(a.Err)
	d := &doctor{app: a, doctorFlags: f, signIns: map[string]*signedIn{}, answer: doctorAnswer{Checks: []doctorCheck{}, At: time.Now().UTC().Round(0)}}
	if !a.flags.json {
		d.page = newDoctorPage(a.Out)
	}
	configuration, err := d.configuration()
	if err != nil {
		return err
	}
	all, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	if err := d.flags.admits(f.which); err != nil {
		return err
	}
	wanted, wrong := d.wanted(all, args)
	d.run(all, append(append([]*exam{configuration}, d.local()...), d.accounts(wanted)...))
	d.run(all, append(wrong, d.patients(all, wanted)...))
	if len(args) == 0 && len(wanted) == 1 && wanted[0].nothing {
		d.run(all, []*exam{d.anyKey()})
	}
	return d.finish(ctx, wanted)
}

// run makes the looks, and shows each as it comes.
func (d *doctor) run(ctx context.Context, exams []*exam) {
	examine(ctx, exams, func(e *exam) { d.status.say("looking at " + e.subject + ": " + label(e.id)) }, func(e *exam) {
		c := doctorCheck{Subject: e.subject, Check: e.id, State: e.state, Seen: e.seen, Remedy: e.remedy, Notes: append([]string{}, e.notes...), TookMS: millis(e.took.Round(100 * time.Microsecond))}
		d.answer.Checks = append(d.answer.Checks, c)
		if d.page != nil {
			d.status.clear()
			d.page.check(c)
		}
	})
	d.status.clear()
}

// finish says what to do first, and ends the command.
func (d *doctor) finish(ctx context.Context, wanted []wantedTarget) error {
	first := slices.IndexFunc(d.answer.Checks, func(c doctorCheck) bool { return c.State == stateBad })
	for _, c := range d.answer.Checks {
		if c.State == stateBad {
			d.answer.Bad++
		}
	}
	switch {
	case first >= 0:
		d.answer.WhatToDo = d.answer.Checks[first].Remedy
		if d.answer.WhatToDo == "" {
			d.answer.WhatToDo = d.answer.Checks[first].Seen
		}
	case len(wanted) == 1 && wanted[0].nothing:
		d.answer.WhatToDo = "name a cluster: emr-accessd doctor j-…; `emr-accessd clusters` shows yours"
	default:
		if i := slices.IndexFunc(d.answer.Checks, func(c doctorCheck) bool { return c.State == stateUnknown && c.Remedy != "" }); i >= 0 {
			d.answer.WhatToDo = d.answer.Checks[i].Remedy
		}
	}
	if d.page == nil {
		if err := d.print(d.answer, nil); err != nil {
			return err
		}
	} else if err := d.page.end(d.answer); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return hinted{errors.New("interrupted: the rest was not looked at"), exitFailed, ""}
	case d.answer.Bad > 0:
		return exitStatus(exitFindings)
	}
	return nil
}

// configuration reads the configuration. The error is for a wrong command line alone.
func (d *doctor) configuration() (*exam, error) {
	e := &exam{subject: thisComputer, id: "configuration"}
	err := d.load()
	if _, usage := errors.AsType[usageError](err); usage {
		return nil, err
	}
	var f finding
	switch {
	case err != nil:
		d.broken = true
		d.cfg = config.Default()
		if err := d.flags.apply(&d.cfg); err != nil {
			return nil, err
		}
		f = bad(oneLine(err), joinHints(err, "see docs/configuration.md"))
	case d.cfg.Path == "":
		f = ok("there is no configuration file, and none is needed for a cluster that you name (`emr-accessd init` writes one)")
	default:
		f = ok(fmt.Sprintf("%s, with %s", d.cfg.Path, counted(len(d.cfg.Targets), "target")))
	}
	if !d.broken {
		f.notes = config.Warnings(d.cfg)
	}
	e.look = func(context.Context) finding { return f }
	return e, nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
