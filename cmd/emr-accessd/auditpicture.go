package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// pictureView is the drawing of who reaches what: sources on the left, nodes on the right, in pixels.
type pictureView struct {
	Left, Top     int // room for the lines around boxes at the edge
	Width, Height int
	Sources       []boxView
	Hosts         []boxView
	Edges         []edgeView
	More          string // what there was no room for
	MoreY         int
	Alt           string // for those who do not see it
}

type boxView struct {
	Kind             string
	X, Y, W, H       int
	TextX, Y1, Y2    int
	Title, Sub, Full string
}

type edgeView struct {
	Kind, Path, Label string
	X, Y              int
}

// Measures of the drawing.
const (
	picWidth   = 960
	boxWidth   = 330
	hostWidth  = 220
	boxHeight  = 46
	boxStep    = 58
	maxSources = 14 // more is no picture any more; the table has all
)

// pictureSource is one box on the left: the rules of one source together.
type pictureSource struct {
	kind, title, sub string
	opens            []string
	roles            []string
}

func picture(t auditTarget) pictureView {
	sources, left := pictureSources(t)
	roles := pictureRoles(t)
	rows := max(len(sources), len(roles), 1)
	p := pictureView{Width: picWidth, Height: rows * boxStep}
	if left > 0 {
		p.More = fmt.Sprintf("and %d more in the table below", left)
		p.MoreY = p.Height + 14
		p.Height += 24
	}
	spread := func(i, n int) int { return i*boxStep + (rows-n)*boxStep/2 + (boxStep-boxHeight)/2 }
	y := map[string]int{}
	for i, role := range roles {
		b := boxView{Kind: "node", X: picWidth - hostWidth, Y: spread(i, len(roles)), W: hostWidth, H: boxHeight, Title: roleTitle(t, role), Sub: roleSub(t, role)}
		p.Hosts = append(p.Hosts, b.place())
		y[role] = b.Y + boxHeight/2
	}
	for i, s := range sources {
		b := boxView{Kind: s.kind, X: 0, Y: spread(i, len(sources)), W: boxWidth, H: boxHeight, Title: s.title, Sub: s.sub}
		p.Sources = append(p.Sources, b.place())
		from := b.Y + boxHeight/2
		for k, role := range s.roles {
			x1, x2 := boxWidth, picWidth-hostWidth
			mid := (x1 + x2) / 2
			e := edgeView{Kind: s.kind, Path: fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, from, mid, from, mid, y[role], x2-7, y[role])}
			if k == 0 {
				e.Label, e.X, e.Y = cutText(strings.Join(s.opens, " · "), 26), x1+12, from-6
			}
			p.Edges = append(p.Edges, e)
		}
	}
	p.Left, p.Top, p.Width, p.Height = -2, -2, p.Width+4, p.Height+4
	p.Alt = fmt.Sprintf("Who reaches port %d: %d sources, %s", t.Port, len(sources)+left, rolesText(t.Nodes, nil))
	return p
}

func (b boxView) place() boxView {
	b.TextX, b.Y1, b.Y2 = b.X+14, b.Y+19, b.Y+36
	b.Full = b.Title + " — " + b.Sub
	limit := (b.W - 28) / 8 // of bold letters, as wide as they usually are
	b.Title, b.Sub = cutText(b.Title, limit), cutText(b.Sub, limit+2)
	return b
}

func cutText(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// pictureSources gathers the rules by source; left is how many did not fit.
func pictureSources(t auditTarget) (out []pictureSource, left int) {
	index := map[string]int{}
	role := map[string]string{}
	for _, n := range t.Nodes {
		role[n.Instance] = n.Role
	}
	for _, e := range t.Reach {
		i, ok := index[e.Kind+e.Source]
		if !ok {
			i = len(out)
			index[e.Kind+e.Source] = i
			out = append(out, pictureSource{kind: e.Kind, title: sourceTitle(e), sub: sourceSub(e)})
			if !e.Effective {
				out[i].kind = "idle"
			}
		}
		s := &out[i]
		if p := e.Ports(); !slices.Contains(s.opens, p) {
			s.opens = append(s.opens, p)
		}
		for _, n := range e.Nodes {
			if r := role[n]; !slices.Contains(s.roles, r) {
				s.roles = append(s.roles, r)
			}
		}
	}
	if len(out) > maxSources {
		left = len(out) - maxSources
		out = out[:maxSources]
	}
	return out, left
}

func sourceTitle(e sgsync.Reach) string {
	switch {
	case e.Kind == sgsync.ReachGroup:
		return printable("Members of " + firstOf(e.SourceName, e.Source))
	case strings.HasPrefix(e.Source, "pl-"):
		return printable("Prefix list " + firstOf(e.SourceName, e.Source))
	case len(e.Holders) > 0:
		return printable(strings.Join(e.Holders, ", "))
	case e.Kind == sgsync.ReachHost && e.Description != "":
		return printable(e.Description)
	}
	return printable(strings.ToUpper(e.Who[:1]) + e.Who[1:])
}

func sourceSub(e sgsync.Reach) string {
	if strings.HasPrefix(e.Source, "pl-") {
		return printable(e.Source + ": " + shorten(e.Sources))
	}
	return printable(e.Source)
}

// pictureRoles are the kinds of nodes that there are, in the order in which they are shown.
func pictureRoles(t auditTarget) (roles []string) {
	for _, n := range t.Nodes {
		if !slices.Contains(roles, n.Role) {
			roles = append(roles, n.Role)
		}
	}
	return roles
}

func roleTitle(t auditTarget, role string) string {
	var ids []string
	for _, n := range t.Nodes {
		if n.Role == role {
			ids = append(ids, n.Instance)
		}
	}
	text := rolesText(t.Nodes, ids)
	return strings.ToUpper(text[:1]) + text[1:]
}

// roleSub tells the public addresses of the first node of a role that has any.
func roleSub(t auditTarget, role string) (none string) {
	for _, n := range t.Nodes {
		if n.Role != role {
			continue
		}
		var parts []string
		for _, a := range []string{addrText(n.Public4), addrText(n.V6)} {
			if a != "" {
				parts = append(parts, a)
			}
		}
		if len(parts) > 0 {
			return strings.Join(parts, ", ")
		}
		none = "no public address"
	}
	return none
}
