package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/iampolicy"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// wantedTarget is something that the user asks about.
type wantedTarget struct {
	target  keeper.Target
	name    string // of a cluster, whose id is not known before AWS is asked
	nothing bool   // nobody asked about a cluster, and none is configured
}

// wanted settles what is asked about. What is wrong with an argument becomes a check.
func (d *doctor) wanted(ctx context.Context, args []string) (out []wantedTarget, wrong []*exam) {
	configured, err := d.targets()
	if err != nil || d.broken {
		configured = nil
	}
	if len(args) == 0 {
		for _, t := range configured {
			out = append(out, wantedTarget{target: t})
		}
		if len(out) == 0 {
			return []wantedTarget{{target: d.here(), nothing: true}}, nil
		}
		return out, nil
	}
	for _, arg := range args {
		known := false
		for _, t := range configured {
			if t.Label == arg {
				out, known = append(out, wantedTarget{target: t}), true
			}
		}
		if known {
			continue
		}
		w := wantedTarget{target: d.here(), name: arg}
		if clusterID.MatchString(arg) || groupID.MatchString(arg) {
			targets, err := d.choose(ctx, []string{arg}, time.Hour, d.cfg.Rules.Lease)
			switch kind, _ := awsclient.KindOf(err); {
			case err == nil:
				w = wantedTarget{target: targets[0]}
			case kind == awsclient.BadRequest || kind == awsclient.Credentials: // profile or region, of which the look at the credentials tells
				w.target.Label, w.target.Cluster, w.name = arg, arg, ""
			default:
				wrong = append(wrong, &exam{subject: arg, id: "cluster", look: func(context.Context) finding { return failure(err) }})
				continue
			}
		} else if profile, region, err := awsclient.Defaults(ctx, awsclient.Options{Profile: d.flags.profile, Region: d.flags.region}); err == nil {
			w.target.Profile, w.target.Region = profile, region
		}
		out = append(out, w)
	}
	return out, wrong
}

// signedIn are the looks at one AWS profile and region, with what they found.
type signedIn struct {
	credentials, identity *exam
	client                *awsclient.Client // set by credentials
	err                   error
}

func placeKey(t keeper.Target) string { return t.Profile + "|" + t.Region + "|" + t.Account }

// accounts are the looks at the AWS profiles that the targets need.
func (d *doctor) accounts(wanted []wantedTarget) (exams []*exam) {
	for _, w := range wanted {
		t := w.target
		if d.signIns[placeKey(t)] != nil {
			continue
		}
		subject := "AWS"
		if t.Profile != "" {
			subject += ", profile " + t.Profile
		}
		if t.Region != "" {
			subject += ", " + t.Region
		}
		s := &signedIn{}
		d.signIns[placeKey(t)] = s
		s.credentials = &exam{subject: subject, id: "credentials", limit: 40 * time.Second, look: func(ctx context.Context) finding {
			_, err := d.open(ctx, t.Profile, t.Region)
			if ctx.Err() != nil {
				return finding{}
			}
			if s.err = err; err != nil {
				return failure(err)
			}
			s.client = d.client(t)
			return lookAtCredentials(s.client.SignIn(), time.Now())
		}}
		s.identity = &exam{subject: subject, id: "identity", needs: []*exam{s.credentials}, look: func(context.Context) finding {
			return lookAtIdentity(s.client.Identity(), t.Account)
		}}
		clock := &exam{subject: subject, id: "clock", after: []*exam{s.credentials}, look: func(context.Context) finding {
			if s.client != nil {
				return lookAtClock(s.client.Clock())
			}
			return lookAtClock(awsclient.ClockOf(s.err))
		}}
		exams = append(exams, s.credentials, s.identity, clock)
	}
	return exams
}

func lookAtCredentials(s awsclient.SignIn, now time.Time) finding {
	f := ok("they come from " + s.From)
	if !s.Expires.IsZero() {
		f.seen += fmt.Sprintf(", and end in %s (new ones are fetched where that is possible)", span(s.Expires.Sub(now)))
	}
	return f
}

func lookAtIdentity(id awsclient.Identity, pinned string) finding {
	who := fmt.Sprintf("%s, account %s, %s", id.ARN, id.Account, id.Region)
	var f finding
	switch {
	case pinned != "" && pinned != id.Account:
		f = bad(fmt.Sprintf("%s; but the target says account %s", who, pinned), "choose the profile of account "+pinned+" (profile in the target, or --profile)")
	case id.Unstable:
		f = bad(who+"; the name of the role session changes with each sign-in, so that leases would be lost", joinHints(keeper.ErrUnstable, ""))
		f.goOn = true
	default:
		f = ok(who)
	}
	if id.Endpoint != "" {
		f.notes = []string{"calls go to " + id.Endpoint + ", which is not AWS's own endpoint"}
	}
	return f
}

// clockWorthTelling is from when on a clock is mentioned although AWS still accepts it.
const clockWorthTelling = time.Minute

// clockTooFar is from when on a clock is bad. EC2 refuses at 15 minutes.
const clockTooFar = 5 * time.Minute

func lookAtClock(ahead time.Duration, known bool) finding {
	side := "ahead of"
	if ahead < 0 {
		side = "behind"
	}
	switch off := ahead.Abs(); {
	case !known:
		return finding{state: stateSkipped, seen: "needs an answer from AWS"}
	case off > clockTooFar:
		return bad(fmt.Sprintf("this computer's clock is %s %s AWS's; at 15 minutes AWS refuses everything", span(off), side), "set the clock: switch automatic time on (timedatectl set-ntp true)")
	case off > clockWorthTelling:
		return ok(fmt.Sprintf("%s %s AWS's", span(off), side))
	}
	return ok("as AWS's")
}

// permissionsOf is the look at what IAM permits for a target.
func (d *doctor) permissionsOf(t keeper.Target, s *signedIn) *exam {
	return &exam{subject: t.Label, id: "permissions", limit: 30 * time.Second, needs: []*exam{s.identity}, look: func(ctx context.Context) finding {
		c := checker{client: s.client, target: t, user: s.client.Identity().UserID, features: []iampolicy.Feature{iampolicy.Rules, iampolicy.Connect}}
		err := c.run(ctx)
		if ctx.Err() != nil {
			return finding{}
		}
		return lookAtPermissions(c.list, err, t)
	}}
}

func lookAtPermissions(list []permission, err error, t keeper.Target) finding {
	var lacks, open []string
	for _, p := range list {
		switch p.Result {
		case missing:
			lacks = append(lacks, p.Action)
		case unknown:
			open = append(open, p.Action)
		}
	}
	switch {
	case len(lacks) > 0:
		return bad("lacks "+strings.Join(distinct(lacks), ", "), "ask whoever administers the account for what `emr-accessd policy --with connect "+t.Label+"` prints")
	case err != nil:
		f := failure(err)
		f.state = stateUnknown
		return f
	case len(list) == 0:
		return notKnown("nothing could be asked for", "")
	case len(open) > 0:
		return ok(fmt.Sprintf("nothing is missing of what could be asked for (not asked for yet: %s)", strings.Join(distinct(open), ", ")))
	}
	return ok("nothing is missing")
}

func distinct(all []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

// failure is the finding for an error, with the hints that it would have at the end of another command.
func failure(err error) finding {
	kind, _ := awsclient.KindOf(err)
	f := bad(oneLine(err), joinHints(err, ""))
	switch {
	case kind == awsclient.Throttled || kind == awsclient.Server:
		f.state, f.remedy = stateUnknown, cmp.Or(f.remedy, "try again in a minute")
	case kind == awsclient.Canceled || errors.Is(err, context.DeadlineExceeded):
		f.state = stateUnknown
	}
	return f
}

// oneLine is an error in one line.
func oneLine(err error) string { return strings.ReplaceAll(message(err), "\n", "; ") }

// joinHints are the hints for an error, or another text where there are none.
func joinHints(err error, otherwise string) string {
	return cmp.Or(strings.Join(hints(err), "; "), otherwise)
}
