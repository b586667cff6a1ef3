package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

type pageView struct {
	At, Version string
	Targets     []targetView
}

type targetView struct {
	Title, Name, Error          string
	Facts                       []factView
	Port                        int
	Head, HeadClass             string // the answer in a sentence
	Asked                       string // the answer about --from
	Picture                     pictureView
	Rows                        []rowView
	Findings                    []findingView
	Gauges                      []gaugeView
	Limit                       string
	High, Medium, Low, InfoOnly int
}

type factView struct{ Name, Value string }

type rowView struct{ Kind, Who, Source, Opens, To, Rule, Group, Note, Entries string }

type findingView struct {
	Severity, ID, Text, Remedy string
	Resources                  []string
}

type gaugeView struct {
	Group               string
	V4, V6              int // width of the bars, 0 to 200
	V4Text, V6Text      string
	V4Class, V6Class    string
	LimitText, NameText string
}

func renderAuditHTML(w io.Writer, r auditAnswer) error {
	page := pageView{At: r.At.UTC().Format("2006-01-02 15:04 UTC"), Version: printable(version())}
	for _, t := range r.Targets {
		page.Targets = append(page.Targets, viewTarget(t))
	}
	m := markup{w: w}
	return m.page(page)
}

func viewTarget(t auditTarget) targetView {
	v := targetView{Title: printable(auditTitle(t)), Name: printable(firstOf(t.Name, t.Cluster, t.Target)), Port: t.Port}
	if t.Error != nil {
		v.Error = printable(*t.Error)
		return v
	}
	for _, f := range []factView{{"Target", t.Target}, {"Cluster", t.Cluster}, {"State", strings.ToLower(t.State)}, {"Account", t.Account}, {"Region", t.Region},
		{"Looked at", rolesText(t.Nodes, nil)}, {"Looked by", t.by}, {"Block public access", blockText(t.Block)}} {
		if f.Value != "" && (f.Name != "Target" || f.Value != t.Cluster) {
			v.Facts = append(v.Facts, factView{f.Name, printable(f.Value)})
		}
	}
	v.Head, v.HeadClass = headline(t)
	if t.From != nil {
		v.Asked = printable(t.From.Why)
	}
	v.Picture = picture(t)
	for _, e := range t.Reach {
		row := rowView{Kind: e.Kind, Who: e.Who, Source: e.Source, Opens: e.Ports(), To: rolesText(t.Nodes, e.Nodes), Rule: e.Rule, Group: e.Group, Note: printable(reachNote(e))}
		if e.SourceName != "" {
			row.Source += " " + printable(e.SourceName)
		}
		if e.GroupName != "" {
			row.Group += " " + printable(e.GroupName)
		}
		if e.Kind == sgsync.ReachList || strings.HasPrefix(e.Source, "pl-") {
			row.Entries = shorten(e.Sources)
		}
		v.Rows = append(v.Rows, row)
	}
	for _, f := range t.Findings {
		v.Findings = append(v.Findings, findingView{Severity: string(f.Severity), ID: f.ID, Text: printable(f.Text), Remedy: printable(strings.ReplaceAll(f.Remedy, "`", "")), Resources: f.Resources})
		switch f.Severity {
		case sgsync.High:
			v.High++
		case sgsync.Medium:
			v.Medium++
		case sgsync.Low:
			v.Low++
		case sgsync.Info:
			v.InfoOnly++
		}
	}
	for _, g := range t.Quota {
		v.Gauges = append(v.Gauges, viewGauge(g))
		v.Limit = printable(g.From)
	}
	return v
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

func blockText(b *sgsync.PublicBlock) string {
	if b == nil {
		return "not known"
	}
	if !b.Block {
		return "off"
	}
	var except []string
	for _, r := range b.Except {
		if r[0] == r[1] {
			except = append(except, fmt.Sprint(r[0]))
		} else {
			except = append(except, fmt.Sprintf("%d-%d", r[0], r[1]))
		}
	}
	if len(except) == 0 {
		return "on"
	}
	return "on, except " + strings.Join(except, ", ")
}

// headline answers the question of the page in a sentence.
func headline(t auditTarget) (text, class string) {
	public := func(e sgsync.Reach) bool { return e.Kind == sgsync.ReachPublic }
	i := slices.IndexFunc(t.Reach, func(e sgsync.Reach) bool { return public(e) && e.Effective && e.Exposed })
	switch {
	case i >= 0:
		return fmt.Sprintf("Port %d is open to %s.", t.Port, t.Reach[i].Who), "open"
	case slices.ContainsFunc(t.Reach, func(e sgsync.Reach) bool { return public(e) && e.Effective }):
		return fmt.Sprintf("Port %d is open to whoever reaches a private address of the nodes: from the VPC, a VPN, a peering or by a load balancer.", t.Port), "open"
	case !t.Complete:
		return fmt.Sprintf("No rule that could be read opens port %d to everybody, but not everything could be read.", t.Port), "part"
	case len(t.Reach) == 0:
		return fmt.Sprintf("No rule admits anybody to port %d.", t.Port), "shut"
	}
	return fmt.Sprintf("Port %d is open to the networks and groups below, and to nobody else.", t.Port), "shut"
}

// gaugeWidth is the length of a full bar, in pixels.
const gaugeWidth = 200

func viewGauge(g sgsync.Gauge) gaugeView {
	bar := func(n int) (int, string) {
		if g.Limit <= 0 {
			return 0, "ok"
		}
		class := "ok"
		if n*100 >= g.Limit*80 {
			class = "near"
		}
		if n >= g.Limit {
			class = "full"
		}
		return min(gaugeWidth, max(n*gaugeWidth/g.Limit, min(n, 1)*2)), class
	}
	v := gaugeView{Group: g.Group, NameText: printable(g.Name), V4Text: fmt.Sprintf("%d IPv4", g.IPv4), V6Text: fmt.Sprintf("%d IPv6", g.IPv6), LimitText: fmt.Sprintf("of %d", g.Limit)}
	v.V4, v.V4Class = bar(g.IPv4)
	v.V6, v.V6Class = bar(g.IPv6)
	return v
}
