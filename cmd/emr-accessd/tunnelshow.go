package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
	"github.com/emr-accessd/emr-accessd/internal/tunnel"
)

// tunnelAnswer is `tunnel --json`, printed when the tunnel stands; docs/json.md describes it.
type tunnelAnswer struct {
	Target   string       `json:"target"`
	Cluster  string       `json:"cluster"`
	Instance string       `json:"instance"`
	Address  string       `json:"address"`
	HostKey  string       `json:"host_key"`
	Doors    []tunnelDoor `json:"doors"`
}

// tunnelDoor is one port or socket of this computer.
type tunnelDoor struct {
	Kind   string   `json:"kind"` // socks, forward or interface
	Name   string   `json:"name,omitempty"`
	Title  string   `json:"title,omitempty"`
	Listen string   `json:"listen"`
	To     []string `json:"to"`
	URL    string   `json:"url,omitempty"`
}

// uiAnswer is `tunnel --list --json`.
type uiAnswer struct {
	Interfaces []uiRow `json:"interfaces"`
}

type uiRow struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Title   string   `json:"title"`
	Ports   []int    `json:"ports"`
	HTTPS   bool     `json:"https"`
	About   string   `json:"about"`
}

// listInterfaces answers --list.
func (a *app) listInterfaces() error {
	answer := uiAnswer{Interfaces: []uiRow{}}
	for _, u := range tunnel.UIs() {
		answer.Interfaces = append(answer.Interfaces, uiRow{u.Name, append([]string{}, u.Aliases...), u.Title, u.Ports, u.HTTPS, u.About})
	}
	return a.print(answer, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, u := range answer.Interfaces {
			ports := strings.ReplaceAll(strings.Trim(fmt.Sprint(u.Ports), "[]"), " ", ", ")
			title := u.Title
			if u.About != "" {
				title += " (" + u.About + ")"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", u.Name, ports, title)
		}
		_ = t.Flush()
	})
}

// url is what a program is given to use the door; "" for a forward, whose language is not known.
func (d *door) url() string {
	switch d.kind {
	case "socks":
		if d.Bind.Path != "" {
			return (&url.URL{Scheme: "socks5h", Host: "localhost", Path: d.Bind.Path}).String() // as curl takes it
		}
		return "socks5h://" + d.listen()
	case "interface":
		return fmt.Sprintf("%s://localhost:%d%s", d.ui.Scheme(), d.Bind.Port, d.ui.Path)
	}
	return ""
}

// listen is where a program finds the door.
func (d *door) listen() string {
	b := d.Bind
	switch b.Host {
	case "localhost":
		b.Host = "127.0.0.1"
	case "*":
		b.Host = "0.0.0.0"
	}
	return b.String()
}

// showTunnel says that the tunnel stands, and how to use it.
func (a *app) showTunnel(r *redial, c *sshsession.Client, doors []*door) error {
	a.status.clear()
	p := r.current()
	answer := tunnelAnswer{Target: p.target.Label, Cluster: p.cluster, Instance: p.verified.Verifier.Instance, Address: p.verified.Addr, HostKey: c.HostKey().Key.SHA256}
	exposed, loopback := false, false
	for _, d := range doors {
		row := tunnelDoor{Kind: d.kind, Name: d.ui.Name, Title: d.ui.Title, Listen: d.listen(), To: []string{}, URL: d.url()}
		for _, to := range d.Remotes() {
			row.To = append(row.To, to.String())
		}
		answer.Doors = append(answer.Doors, row)
		exposed = exposed || d.Bind.Exposed()
		loopback = loopback || !d.Bind.Exposed() && d.Bind.Path == ""
		if d.wanted != 0 && d.Bind.Port != d.wanted {
			a.note(fmt.Sprintf("port %d is taken, so %s is at %d", d.wanted, d.ui.Title, d.Bind.Port))
		}
	}
	if exposed {
		a.note("warning: with --expose, whoever reaches this computer reaches the cluster through it")
	}
	if loopback {
		a.note("every user of this computer can use these ports; -D unix:PATH makes a proxy for you alone")
	}
	where := answer.Cluster
	if where == "" {
		where = answer.Target
	}
	a.note(fmt.Sprintf("the tunnel to %s stands; Ctrl-C ends it", where))
	return a.print(answer, func(w io.Writer) {
		for _, row := range answer.Doors {
			line := row.URL
			switch row.Kind {
			case "interface":
				line += "  " + row.Title
			case "forward":
				line = row.Listen + " -> " + row.To[0]
			}
			fmt.Fprintln(w, printable(line))
		}
	})
}
