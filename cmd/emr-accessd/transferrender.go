package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/emr-accessd/emr-accessd/internal/transfer"
)

// transferAnswer is `put --json` and `get --json`; docs/json.md describes it.
type transferAnswer struct {
	Cluster   string            `json:"cluster"`
	Direction string            `json:"direction"`
	DryRun    bool              `json:"dry_run"`
	Files     []transferFile    `json:"files"`
	Skipped   []transferSkipped `json:"skipped"`
	Copied    int               `json:"copied"`
	Failed    int               `json:"failed"`
	Bytes     int64             `json:"bytes"`
	Seconds   float64           `json:"seconds"`
}

type transferFile struct {
	From  string  `json:"from"`
	To    string  `json:"to"`
	Bytes int64   `json:"bytes"`
	Error *string `json:"error"`
	Part  string  `json:"part,omitempty"`
}

type transferSkipped struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// maxTold is how many lines of one kind are said on standard error; --json has them all.
const maxTold = 20

// transferred tells what became of a transfer and decides the command's end.
func (a *app) transferred(ctx context.Context, client *sshsession.Client, ans transferAnswer, r transfer.Report, took time.Duration) error {
	ans.Files, ans.Skipped, ans.Seconds = []transferFile{}, []transferSkipped{}, took.Seconds()
	var failed []transfer.Result
	for _, list := range [][]transfer.Result{r.Failed, r.Files} {
		for _, f := range list {
			file := transferFile{From: f.From, To: f.To, Bytes: f.Bytes, Part: f.Part}
			if f.Err != nil {
				text := f.Err.Error()
				file.Error = &text
				failed = append(failed, f)
				ans.Failed++
			} else {
				ans.Copied++
				ans.Bytes += f.Bytes
			}
			ans.Files = append(ans.Files, file)
		}
	}
	for _, s := range r.Skipped {
		ans.Skipped = append(ans.Skipped, transferSkipped(s))
	}
	a.tellSkipped(r.Skipped)
	a.tellParts(ans.Direction, failed)
	if a.flags.json || ans.DryRun {
		if err := a.print(ans, func(w io.Writer) { printPlan(w, r.Files) }); err != nil {
			return err
		}
	}
	switch {
	case len(failed) > 0 && ctx.Err() != nil:
		return hinted{fmt.Errorf("%w: %s", errStopped, notCopied(failed, ans.Copied)), exitFailed, errStopped.hint}
	case len(failed) > 0:
		return a.lostLink(ctx, client, a.tellFailed(ans.Direction, failed, ans.Copied))
	case !ans.DryRun && (a.status != nil || a.flags.verbose):
		fmt.Fprintf(a.Err, "emr-accessd: %s\n", summary(ans, took))
	}
	return nil
}

// printPlan is the answer of a dry run.
func printPlan(w io.Writer, files []transfer.Result) {
	for _, f := range files {
		fmt.Fprintf(w, "%s -> %s (%s)\n", printable(f.From), printable(f.To), size(f.Bytes))
	}
}

func (a *app) tellSkipped(skipped []transfer.Skipped) {
	for i, s := range skipped {
		if i == maxTold {
			fmt.Fprintf(a.Err, "emr-accessd: left out %d more\n", len(skipped)-i)
			return
		}
		fmt.Fprintf(a.Err, "emr-accessd: left out %s: it is %s\n", printable(s.Path), s.Why)
	}
}

func (a *app) tellParts(verb string, failed []transfer.Result) {
	where := map[string]string{"put": "on the node", "get": "here"}[verb]
	for _, f := range failed {
		if f.Part != "" {
			fmt.Fprintf(a.Err, "emr-accessd: warning: an unfinished file may remain %s: %s\n", where, printable(f.Part))
		}
	}
}

// tellFailed makes one error of many: the only one itself, else each is told in a line of its own and the error counts them.
func (a *app) tellFailed(verb string, failed []transfer.Result, copied int) error {
	first := func(f transfer.Result) error { return fmt.Errorf("%s: %w", f.From, f.Err) }
	var own []transfer.Result // without those that only suffer from another's error
	for _, f := range failed {
		if !errors.Is(f.Err, transfer.ErrNotTried) && (len(own) == 0 || own[len(own)-1].Err.Error() != f.Err.Error()) {
			own = append(own, f)
		}
	}
	if len(own) == 0 {
		own = failed[:1]
	}
	if len(failed) == 1 {
		return hintTransfer(verb, first(failed[0]))
	}
	for i, f := range own {
		if i == maxTold {
			fmt.Fprintf(a.Err, "emr-accessd: error: and %d more reasons\n", len(own)-i)
			break
		}
		fmt.Fprintf(a.Err, "emr-accessd: error: %s\n", printable(first(f).Error()))
	}
	return hintTransfer(verb, transferError{errors.New(notCopied(failed, copied)), own[0].Err})
}

func notCopied(failed []transfer.Result, copied int) string {
	return fmt.Sprintf("%d of %d files were not copied", len(failed), len(failed)+copied)
}

// transferError counts files, and still is the error that one of them had.
type transferError struct {
	error
	cause error
}

func (e transferError) Unwrap() error { return e.cause }

func hintTransfer(verb string, err error) error {
	_, there := errors.AsType[*fs.PathError](err) // an error of this computer has its path
	switch {
	case errors.Is(err, fs.ErrPermission) && !there && verb == "put":
		return hinted{err, exitFailed, "put it into your home on the node, and move it from there: emr-accessd connect CLUSTER -- sudo mv …"}
	case errors.Is(err, fs.ErrPermission) && !there:
		return hinted{err, exitFailed, "what only root may read goes through: emr-accessd connect CLUSTER -- sudo cat FILE"}
	}
	if full, ok := errors.AsType[*transfer.FullError](err); ok && !full.Here {
		return hinted{err, exitFailed, "see what fills it: emr-accessd connect CLUSTER -- df -h; /mnt has the most room on an EMR node"}
	}
	return err
}

func summary(ans transferAnswer, took time.Duration) string {
	files := fmt.Sprintf("%d files", ans.Copied)
	if ans.Copied == 1 {
		files = ans.Files[0].To
	}
	text := fmt.Sprintf("%s %s, %s in %s", ans.Direction, printable(files), size(ans.Bytes), duration(took))
	if s := took.Seconds(); s > 0 && ans.Bytes > 0 {
		text += fmt.Sprintf(" (%s/s)", size(int64(float64(ans.Bytes)/s)))
	}
	return text
}

// size is a number of bytes for people, in powers of ten.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		if v /= 1000; v < 999.95 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f TB", v/1000)
}

// duration is a time for people.
func duration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%d:%02d min", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d h", int(d.Hours()), int(d.Minutes())%60)
}

// watchView asks, beside what goes on, what the server sees of us. The func that it returns compares it with what was authorized.
func (a *app) watchView(ctx context.Context, c *sshsession.Client, rep keeper.Report) (compare func()) {
	seen := make(chan netip.Addr, 1)
	go func() {
		vctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		addr, _ := c.ViewBeside(vctx)
		seen <- addr
	}()
	return func() {
		select {
		case addr := <-seen:
			a.compareView(rep, addr)
		default: // the session was shorter than the question
		}
	}
}
