package main

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"strings"
)

// auditHead is the page up to its body: it holds nothing of what was found.
//
//go:embed audit.html
var auditHead string

// markup writes HTML. The program does without html/template: it finds fields by reflection, for which the linker keeps every
// method of every type, and so all of EC2's 700 calls; the program would be 2.7 times as large.
type markup struct {
	w   io.Writer
	err error // the first
}

// put writes a format, in which each string is escaped: it may stand between tags and in a quoted attribute, and nowhere
// else (no script, style or link is made here).
func (m *markup) put(format string, args ...any) {
	if m.err != nil {
		return
	}
	safe := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case int:
			safe[i] = a
		default:
			safe[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	_, m.err = fmt.Fprintf(m.w, format, safe...)
}

func (m *markup) page(v pageView) error {
	names := ""
	for _, t := range v.Targets {
		names += html.EscapeString(" · " + t.Name)
	}
	if _, err := io.WriteString(m.w, strings.Replace(auditHead, "</title>", names+"</title>", 1)); err != nil {
		return err
	}
	m.put("<body>\n<main>\n<header><h1>SSH access audit</h1><p>%s · emr-accessd %s</p></header>\n", v.At, v.Version)
	for _, t := range v.Targets {
		m.put("<section>\n<h2>%s</h2>\n", t.Title)
		if t.Error != "" {
			m.put(`<p class="say part">This could not be looked at: %s</p>`+"\n", t.Error)
		} else {
			m.target(t)
		}
		m.put("</section>\n")
	}
	m.put("<footer>Read from AWS's API by emr-accessd, which changed nothing. This page loads nothing from anywhere.</footer>\n</main>\n</body>\n</html>\n")
	return m.err
}

func (m *markup) target(t targetView) {
	m.put(`<p class="say %s">%s</p>`+"\n", t.HeadClass, t.Head)
	if t.Asked != "" {
		m.put(`<p class="say small asked">%s</p>`+"\n", t.Asked)
	}
	m.put("<dl>")
	for _, f := range t.Facts {
		m.put("<div><dt>%s</dt><dd>%s</dd></div>", f.Name, f.Value)
	}
	m.put("\n<div><dt>Findings</dt><dd>%d high, %d medium, %d low, %d for the record</dd></div></dl>\n", t.High, t.Medium, t.Low, t.InfoOnly)
	if len(t.Rows) > 0 {
		m.put("<h3>Who reaches port %d</h3>\n"+`<div class="picture">`+"\n", t.Port)
		m.picture(t.Picture)
		m.put(`<ul class="legend"><li class="public"><i></i>everybody</li><li class="range"><i></i>networks</li><li class="host"><i></i>one address</li>` +
			`<li><i></i>another security group</li><li class="idle"><i></i>no node has such an address</li></ul>` + "\n</div>\n")
		m.rows(t.Rows)
	}
	m.put("<h3>What to look at</h3>\n")
	for _, f := range t.Findings {
		m.finding(f)
	}
	if len(t.Findings) == 0 {
		m.put("<p>Nothing.</p>\n")
	}
	if len(t.Gauges) > 0 {
		m.put("<h3>How full the groups are</h3>\n")
		for _, g := range t.Gauges {
			m.gauge(g)
		}
		m.put(`<p class="soft">The limit is %s.</p>`+"\n", t.Limit)
	}
}

func (m *markup) picture(p pictureView) {
	m.put(`<svg viewBox="%d %d %d %d" role="img" aria-label="%s">`+"\n", p.Left, p.Top, p.Width, p.Height, p.Alt)
	for _, e := range p.Edges {
		m.put(`<path class="%s" d="%s"/>`+"\n", e.Kind, e.Path)
	}
	for _, h := range p.Hosts {
		m.put(`<g class="node"><title>%s</title><path class="arrow" d="M%d %d m-9 18 l8 5 l-8 5 z"/>`, h.Full, h.X, h.Y)
		m.box(h)
	}
	for _, s := range p.Sources {
		m.put(`<g class="%s"><title>%s</title>`, s.Kind, s.Full)
		m.box(s)
	}
	for _, e := range p.Edges {
		if e.Label != "" {
			m.put(`<text class="label" x="%d" y="%d">%s</text>`+"\n", e.X, e.Y, e.Label)
		}
	}
	if p.More != "" {
		m.put(`<text class="label" x="14" y="%d">%s</text>`, p.MoreY, p.More)
	}
	m.put("</svg>\n")
}

func (m *markup) box(b boxView) {
	m.put(`<rect x="%d" y="%d" width="%d" height="%d" rx="6"/>`, b.X, b.Y, b.W, b.H)
	m.put(`<text class="t" x="%d" y="%d">%s</text><text class="sub" x="%d" y="%d">%s</text></g>`+"\n", b.TextX, b.Y1, b.Title, b.TextX, b.Y2, b.Sub)
}

func (m *markup) rows(rows []rowView) {
	m.put("<h3>By which rule</h3>\n" + `<div class="wide"><table>` + "\n<thead><tr><th>Who</th><th>Source</th><th>Opens</th><th>To</th><th>Rule</th></tr></thead>\n<tbody>")
	for _, r := range rows {
		m.put("\n"+`<tr class="%s"><td>%s`, r.Kind, r.Who)
		m.small(r.Note)
		m.put("</td><td><code>%s</code>", r.Source)
		m.small(r.Entries)
		m.put(`</td><td class="nowrap">%s</td><td>%s</td><td><code>%s</code><small>%s</small></td></tr>`, r.Opens, r.To, r.Rule, r.Group)
	}
	m.put("\n</tbody></table></div>\n" + `<p class="soft">Security group rules only ever allow, and the rules of all groups on an interface are merged: ` +
		"for any address the most permissive rule applies. Network ACLs and routes may keep out more; they are not looked at here.</p>\n")
}

func (m *markup) small(text string) {
	if text != "" {
		m.put("<small>%s</small>", text)
	}
}

func (m *markup) finding(f findingView) {
	m.put(`<div class="finding"><span class="tag %s">%s</span><div><p>%s</p>`, f.Severity, f.Severity, f.Text)
	if f.Remedy != "" {
		m.put(`<p class="remedy soft">%s</p>`, f.Remedy)
	}
	m.put(`<p class="meta mono">%s`, f.ID)
	for _, r := range f.Resources {
		m.put(" · %s", r)
	}
	m.put("</p></div></div>\n")
}

func (m *markup) gauge(g gaugeView) {
	m.put(`<div class="gauge"><div><code>%s</code> <span class="soft">%s</span></div>`+"\n", g.Group, g.NameText)
	m.put(`<svg viewBox="0 0 200 24" role="img" aria-label="%s, %s %s">`, g.V4Text, g.V6Text, g.LimitText)
	m.put(`<rect x="0" y="2" width="200" height="8" rx="2"/><rect class="%s" x="0" y="2" width="%d" height="8" rx="2"/>`, g.V4Class, g.V4)
	m.put(`<rect x="0" y="14" width="200" height="8" rx="2"/><rect class="%s" x="0" y="14" width="%d" height="8" rx="2"/></svg>`, g.V6Class, g.V6)
	m.put("\n"+`<div class="soft">%s, %s %s</div></div>`+"\n", g.V4Text, g.V6Text, g.LimitText)
}
