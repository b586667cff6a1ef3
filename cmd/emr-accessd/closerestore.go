package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
	"golang.org/x/term"
)

// restoreAnswer is the answer of close-public --restore.
type restoreAnswer struct {
	Restored string `json:"restored"` // the rule that was closed
	Rule     string `json:"rule"`     // the one that stands in its place; "" before
	Group    string `json:"group"`
	Port     int    `json:"port"`
	CIDR     string `json:"cidr"`
	Applied  bool   `json:"applied"`
	Existed  bool   `json:"existed"` // an identical rule was there already
}

// restore puts a closed rule back, from its record.
func (a *app) restore(ctx context.Context, f closeFlags) error {
	st, err := a.store()
	if err != nil {
		return err
	}
	rec, err := st.Closed(f.restore)
	if errors.Is(err, keeper.ErrNoRecord) {
		hint := "no rule was closed from here"
		if ids := st.ClosedIDs(); len(ids) > 0 {
			hint = "there are records of " + strings.Join(ids, ", ")
		}
		return hinted{fmt.Errorf("%w: %s", err, f.restore), exitUsage, hint}
	}
	if err != nil {
		return err
	}
	cl, err := a.open(ctx, rec.Profile, rec.Region)
	if err != nil {
		return err
	}
	if have := cl.Identity().Account; have != rec.Account {
		return &keeper.AccountError{Want: rec.Account, Have: have}
	}
	answer := restoreAnswer{Restored: rec.ID, Group: rec.Group, Port: rec.Port, CIDR: rec.CIDR.String()}
	a.status.clear()
	fmt.Fprintf(a.Err, "This opens port %d of %s to %s again, as before %s.\n", rec.Port, rec.Group, rec.CIDR, rec.At.Local().Format("2006-01-02 15:04"))
	if f.dry {
		if err := a.print(answer, func(w io.Writer) { fmt.Fprintf(w, "would call: %s\n", printable(awsRestore(rec))) }); err != nil {
			return err
		}
		return exitStatus(exitFindings)
	}
	if ok, err := a.confirm(ctx, "Open it again?", f.yes); err != nil {
		return err
	} else if !ok {
		return a.declined(answer)
	}
	unlock, err := st.Lock(ctx) // not before: the daemon does not wait for somebody's answer
	if err != nil {
		return err
	}
	defer unlock()
	again := rec.NewRule()
	made, err := cl.Authorize(ctx, rec.Group, again)
	if errors.Is(err, sgsync.ErrDenied) && len(again.Tags) > 0 {
		// The least policy lets nobody set tags but ours. Whoever asks for the way back may be shut out, and tags admit nobody.
		denied := err
		again.Tags = nil
		if made, err = cl.Authorize(ctx, rec.Group, again); err == nil {
			fmt.Fprintf(a.Err, "emr-accessd: warning: the rule's tags %q were not put back: %s\n", slices.Sorted(maps.Keys(rec.Tags)), printable(denied.Error()))
		}
	}
	switch {
	case errors.Is(err, sgsync.ErrDuplicate):
		answer.Existed = true
	case err != nil:
		return err
	default:
		answer.Rule, rec.Restored = made.ID, made.ID
		noteClosed(st, "restore", made.ID, rec)
		if err := st.SaveClosed(rec); err != nil {
			fmt.Fprintf(a.Err, "emr-accessd: warning: the record could not be updated: %s\n", printable(err.Error()))
		}
		if err := st.NotePublic(rec.Group, "", made.ID); err != nil {
			fmt.Fprintf(a.Err, "emr-accessd: warning: status does not show the rule until the next round: %s\n", printable(err.Error()))
		}
	}
	answer.Applied = true
	return a.print(answer, func(w io.Writer) {
		if answer.Existed {
			fmt.Fprintf(w, "a rule for %s on port %d is there already in %s\n", answer.CIDR, answer.Port, answer.Group)
			return
		}
		fmt.Fprintf(w, "opened %s, port %d, again: %s in %s\n", answer.CIDR, answer.Port, answer.Rule, answer.Group)
	})
}

// errNoTerminal: a question could not be asked.
var errNoTerminal = errors.New("there is no terminal to ask on, so nothing was changed")

// terminal reports whether somebody can be asked.
func (a *app) terminal() bool { return a.In != nil && term.IsTerminal(int(a.In.Fd())) }

// confirm asks; anything but yes is no.
func (a *app) confirm(ctx context.Context, question string, yes bool) (bool, error) {
	if yes {
		return true, nil
	}
	if !a.terminal() {
		return false, hinted{errNoTerminal, exitUsage, "--yes answers the question"}
	}
	ok, err := a.ask(ctx, question)
	if err == nil && !ok {
		fmt.Fprintln(a.Err, "nothing was changed")
	}
	return ok, err
}

// ask asks on the terminal.
func (a *app) ask(ctx context.Context, question string) (yes bool, err error) {
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	line, err := readLine(ctx, bufio.NewReader(io.LimitReader(a.In, 256)))
	if ctx.Err() != nil {
		fmt.Fprintln(a.Err)
		return false, ctx.Err()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// declined ends a run to which somebody said no: what would have been done is still to be done. The plan has been
// shown, so only a program is told again.
func (a *app) declined(answer any) error {
	if err := a.print(answer, func(io.Writer) {}); err != nil {
		return err
	}
	return exitStatus(exitFindings)
}

// readLine reads an answer, and ends with the context: reading from a terminal does not end with an interrupt. The
// reader is not to be used after that.
func readLine(ctx context.Context, in *bufio.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	go func() { // it ends with the process at the latest
		line, err := in.ReadString('\n')
		answered <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case got := <-answered:
		return got.line, got.err
	}
}

// awsRestore is the AWS CLI's command that puts a rule back, for a POSIX shell.
func awsRestore(c keeper.Closed) string {
	n := c.NewRule()
	source := map[string]string{"CidrIp": n.CIDR.String()}
	ranges := "IpRanges"
	if n.CIDR.Addr().Is6() {
		source, ranges = map[string]string{"CidrIpv6": n.CIDR.String()}, "Ipv6Ranges"
	}
	if n.Description != "" {
		source["Description"] = n.Description
	}
	words := []string{"aws", "ec2", "authorize-security-group-ingress"}
	if c.Profile != "" {
		words = append(words, "--profile", c.Profile)
	}
	words = append(words, "--region", c.Region, "--group-id", c.Group,
		"--ip-permissions", jsonWord([]any{map[string]any{"IpProtocol": "tcp", "FromPort": n.Port, "ToPort": n.Port, ranges: []any{source}}}))
	if len(n.Tags) > 0 {
		var tags []map[string]string
		for _, k := range slices.Sorted(maps.Keys(n.Tags)) {
			tags = append(tags, map[string]string{"Key": k, "Value": n.Tags[k]})
		}
		words = append(words, "--tag-specifications", jsonWord([]any{map[string]any{"ResourceType": "security-group-rule", "Tags": tags}}))
	}
	for i, w := range words {
		words[i] = shellQuote(w)
	}
	return strings.Join(words, " ")
}

// jsonWord is v as JSON in printable ASCII: what a terminal might change would be another rule.
func jsonWord(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "" // strings and numbers always marshal
	}
	var b strings.Builder
	for _, r := range string(data) {
		if r < 0x20 || r > 0x7e {
			for _, u := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// shellQuote makes one word of a POSIX shell of any text.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@+", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
