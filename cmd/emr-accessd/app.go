package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"sync"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// app is what the commands share.
type app struct {
	streams
	flags  flags
	cfg    config.Config
	status *progress
	verb   string // the command, for the history

	startedBy
	secrets passphrases          // of login keys
	shell   *sshsession.Terminal // of a session; nil where there is none

	mu      sync.Mutex
	clients map[string]*awsclient.Client // opened in the last round, by profile and region
	signIn  signIn
}

// load reads the configuration and lays the flags over it.
func (a *app) load() error {
	cfg, err := config.Load(a.flags.config)
	if err != nil {
		return err
	}
	if err := a.flags.apply(&cfg); err != nil {
		return err
	}
	a.cfg = cfg
	return cfg.Check()
}

// detector makes what finds the own address.
func (a *app) detector() (*ipwatch.Detector, error) {
	c := a.cfg.Address
	dc := ipwatch.Config{
		Policy: ipwatch.Policy{Agree: c.Agree, Require: c.Require, EgressCheck: c.EgressCheck, Accept: c.Accept, Never: c.Never, Only: c.Only, Prefix6: c.IPv6Prefix},
		Settings: map[ipwatch.Family]ipwatch.Setting{
			ipwatch.V4: {Mode: ipwatch.Mode(c.IPv4.Kind), Fixed: c.IPv4.Fixed},
			ipwatch.V6: {Mode: ipwatch.Mode(c.IPv6.Kind), Fixed: c.IPv6.Fixed},
		},
		Bind: demoBind(),
	}
	for _, s := range c.Sources {
		dc.Sources = append(dc.Sources, ipwatch.Source{Operator: s.Operator, URL: s.URL, Format: ipwatch.Format(s.Format), CAFile: s.CAFile})
	}
	return ipwatch.NewDetector(dc)
}

func (a *app) store() (*keeper.Store, error) {
	dir, err := config.StateDir()
	if err != nil {
		return nil, err
	}
	st, err := keeper.OpenStore(dir, usualStateDir())
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, hinted{err, 0, "what emr-accessd holds is noted there; EMR_ACCESSD_STATE names another folder"}
	}
	return st, err
}

// usualStateDir is the state folder without EMR_ACCESSD_STATE.
func usualStateDir() string {
	set, ok := os.LookupEnv(config.EnvState)
	if !ok || set == "" {
		dir, _ := config.StateDir()
		return dir
	}
	return filepath.Join(filepath.Dir(set), "\x00 never") // no folder has this name: a named folder is an installation of its own
}

// keeper makes the keeper of this configuration.
func (a *app) keeper() (*keeper.Keeper, error) {
	det, err := a.detector()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	st, err := a.store()
	if err != nil {
		return nil, err
	}
	targets, err := a.targets()
	if err != nil {
		return nil, err
	}
	r := a.cfg.Rules
	k := &keeper.Keeper{Open: a.open, Watch: det, Store: st, Targets: targets, Who: who(), By: a.verb, Explain: explain, Lease: r.Lease, Tags: r.Tags,
		ReportExpired: r.Expired == config.ExpiredReport, Prefix6: a.cfg.Address.IPv6Prefix, Transient: transient, Crowded: crowded,
		Log: a.logger(), Progress: a.status.say}
	if r.Probe {
		k.Dial = (&net.Dialer{}).DialContext
		if demo := demoDial(); demo != nil {
			k.Dial = demo
		}
	}
	return k, nil
}

// open signs in anew: a round never works with what an earlier one read.
func (a *app) open(ctx context.Context, profile, region string) (keeper.Cloud, error) {
	before := a.signIn.opening()
	c, err := awsclient.Open(ctx, awsclient.Options{Profile: profile, Region: region, UserAgent: "emr-accessd/" + version()})
	a.signIn.opened(profile+"|"+region, before, err)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.clients == nil {
		a.clients = map[string]*awsclient.Client{}
	}
	if old := a.clients[profile+"|"+region]; old != nil {
		old.Close()
	}
	a.clients[profile+"|"+region] = c
	return cloud{c}, nil
}

// client is the client of the last round for a target.
func (a *app) client(t keeper.Target) *awsclient.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.clients[t.Profile+"|"+t.Region]
}

// transient tells failures that another try may mend.
func transient(err error) bool {
	kind, ok := awsclient.KindOf(err)
	return ok && (kind == awsclient.Throttled || kind == awsclient.Server || kind == awsclient.Offline)
}

// crowded tells that the account makes more calls than AWS allows.
func crowded(err error) bool {
	kind, ok := awsclient.KindOf(err)
	return ok && kind == awsclient.Throttled
}

// who is user@host, for humans who read tags and descriptions.
func who() string {
	name, host := "user", "laptop"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = filepath.Base(filepath.ToSlash(u.Username)) // DOMAIN\user on Windows
		if i := lastBackslash(u.Username); i >= 0 {
			name = u.Username[i+1:]
		}
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		host = h
	}
	return name + "@" + host
}

func lastBackslash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '\\' {
			return i
		}
	}
	return -1
}
