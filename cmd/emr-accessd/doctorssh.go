package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// doctorConnect is the limit of a TCP connection: a lost first packet is sent again after one second and after three.
const doctorConnect = 7 * time.Second

// sshTarget is the node as a server to connect to. Nothing is stored and nobody is asked.
func (p *patient) sshTarget() (sshsession.Target, error) {
	t := sshsession.Target{Addr: p.addr, Dial: demoDial(), ConnectTimeout: doctorConnect}
	store, err := sshsession.OpenStore(p.statePath("known_hosts"))
	if err != nil {
		return t, err
	}
	t.Verifier = sshsession.Verifier{Store: store, Instance: p.node.Instance, ReadOnly: true, Console: p.console(p.target, keeper.Node{Instance: p.node.Instance})}
	return t, nil
}

func (p *patient) lookAtTCP(ctx context.Context) finding {
	begin := time.Now()
	conn, err := sshsession.Connect(ctx, sshsession.Target{Addr: p.addr, Dial: demoDial(), ConnectTimeout: doctorConnect})
	if ctx.Err() != nil {
		if err == nil {
			_ = conn.Close()
		}
		return finding{}
	}
	if err == nil {
		p.conn = conn
		return ok(fmt.Sprintf("%s answers after %.0f ms", p.addr, millis(time.Since(begin))))
	}
	de, is := errors.AsType[*sshsession.DialError](err)
	if !is {
		return failure(err)
	}
	return judgeDial(de.Problem, oneLine(err), p.shut)
}

// judgeDial says what a failed TCP connection means.
func judgeDial(problem sshsession.DialProblem, said string, shut bool) finding {
	switch problem {
	case sshsession.DialTimeout:
		if shut {
			return bad(said+", as is to be expected: no rule admits you", "bring your rule in place (see rule above), then look again")
		}
		return bad(said+": packets are dropped on the way",
			"when nothing above is bad, this network blocks SSH outwards (guest Wi-Fi and companies do): try another network, such as a phone's; a rule that was made a moment ago takes some seconds to act")
	case sshsession.DialRefused:
		return bad(said+": the host is reached, and nothing listens on this port", "check --port; on a cluster that is starting, wait; else sshd on the node does not run")
	case sshsession.DialReset:
		return bad(said+": something on the way, or the host, cuts connections", "a firewall or proxy of this network may do that: try another network")
	case sshsession.DialUnreachable:
		return bad(said+": this computer has no way there", "connect to a network; for a private address, to the VPN")
	}
	return bad(said, "check --host")
}

func (p *patient) lookAtGreeting(ctx context.Context) finding {
	said, err := sshsession.Greeting(ctx, p.conn)
	switch {
	case errors.Is(err, sshsession.ErrNotSSH):
		return bad(err.Error(), "the sign-in page of this network, a proxy, or another service on that port: open a page in a browser, try another network, check --port")
	case errors.Is(err, sshsession.ErrSilent):
		return bad(err.Error(), "a firewall that accepts in place of the node, or an sshd that is overloaded or still starting: try again, then from another network")
	case err != nil:
		return bad(oneLine(err), "try again; if it stays so, something on the way cuts SSH connections: try another network")
	}
	return ok(said)
}

func (p *patient) lookAtHostKey(ctx context.Context) finding {
	if p.node.Instance == "" {
		return finding{state: stateSkipped, seen: "needs a node: host keys are known by instance"}
	}
	t, err := p.sshTarget()
	if err != nil {
		return bad(oneLine(err), joinHints(err, ""))
	}
	v, err := sshsession.CheckHostKey(ctx, t)
	if u, is := errors.AsType[*sshsession.UnverifiedError](err); is {
		return notKnown(fmt.Sprintf("%s, and nothing vouches for it: %s", u.Key, why(u.Why)),
			fmt.Sprintf("compare with the node's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there); when they are the same: emr-accessd trust%s %s %s", p.which.flag(), p.target.Label, u.Key.SHA256))
	}
	if err != nil {
		return bad(oneLine(err), joinHints(err, "try again; a server that is overloaded hangs up"))
	}
	p.verified = true
	if v.Stored {
		return ok(fmt.Sprintf("%s, as stored for %s", v.Key, p.node.Instance))
	}
	from := map[sshsession.Origin]string{sshsession.OriginConsole: "as the node printed to the console at its first boot",
		sshsession.OriginConsoleLatest: "as in the node's latest console output"}[v.Origin]
	return ok(fmt.Sprintf("%s, %s", v.Key, from))
}

func why(err error) string {
	if err == nil {
		return "the console output was not looked at"
	}
	return oneLine(err)
}

// loginOf is the login that connect would make.
func (p *patient) loginOf(publicKey string) sshsession.Login {
	p.once.Do(func() {
		if p.cluster.ID != "" {
			p.options = p.askSSH(context.Background(), p.cluster.ID) // has a limit of its own
		}
	})
	l := loginWith(p.options, p.doctorFlags.login, p.doctorFlags.identity, p.target.Profile)
	l.WantPublicKey = publicKey
	return l
}

func (p *patient) lookAtLoginKey(ctx context.Context) finding {
	public, note := "", "the cluster's key pair is not known"
	if name := p.cluster.KeyName; name != "" && p.client != nil {
		key, err := p.client.KeyPair(ctx, name)
		if public, note = key, ""; err != nil {
			note = "the public key of the cluster's key pair " + name + " could not be read (" + oneLine(err) + ")"
		} else if key == "" {
			note = "EC2 does not tell the public key of the cluster's key pair " + name
		}
	} else if p.cluster.ID != "" {
		note = "the cluster was made without a key pair"
	}
	found, err := p.loginOf(public).Keys(ctx)
	if ctx.Err() != nil {
		return finding{}
	}
	if err != nil {
		return bad(oneLine(err), joinHints(err, "name another file with -i"))
	}
	f, locked := judgeKeys(found, p.cluster.KeyName, note)
	if f.state == stateBad && p.cluster.ID == "" { // it may not be needed
		f.state = stateUnknown
	}
	p.locked = locked
	return f
}

// judgeKeys tells whether there is a key that fits. note is why the cluster's key is not known; "" where it is.
func judgeKeys(found sshsession.FoundKeys, keyPair, note string) (f finding, locked bool) {
	var skipped []string
	for _, k := range found.Skipped {
		skipped = append(skipped, k.String())
	}
	rest := ""
	if len(skipped) > 0 {
		rest = "; not used: " + strings.Join(skipped, "; ")
	}
	remedy := "name the private key's file with -i"
	if keyPair != "" {
		remedy += fmt.Sprintf(" (key pair %q), or put it into ~/.ssh or the agent", keyPair)
	}
	if len(skipped) > 0 {
		remedy += "; or make one of those usable that are not used"
	}
	fits := slices.IndexFunc(found.Keys, func(k sshsession.FoundKey) bool { return k.Wanted })
	switch {
	case len(found.Keys) == 0 && len(found.Skipped) > 0:
		return bad("no key can be used"+rest, remedy), false
	case len(found.Keys) == 0:
		return bad("there is none: not in ~/.ssh, and not in an agent", remedy), false
	case fits >= 0 && found.Keys[fits].Encrypted:
		return ok(fmt.Sprintf("%s fits the cluster's key pair %s; it is encrypted, and connect asks for its passphrase", found.Keys[fits], keyPair)), true
	case fits >= 0:
		return ok(fmt.Sprintf("%s fits the cluster's key pair %s", found.Keys[fits], keyPair)), false
	}
	var names []string
	for _, k := range found.Keys {
		names = append(names, k.String())
	}
	offered := counted(len(names), "key") + " would be offered: " + strings.Join(names, ", ") + rest
	locked = !slices.ContainsFunc(found.Keys, func(k sshsession.FoundKey) bool { return !k.Encrypted })
	if note != "" {
		f = notKnown(note+". "+offered, "")
	} else {
		f = notKnown(fmt.Sprintf("none is the cluster's key pair %s; another may be accepted. %s", keyPair, offered), remedy)
	}
	f.goOn = true
	return f, locked
}

// viewTries is how often the node is asked which address it sees.
const viewTries = 2

// logIn tries a login with the keys that need no passphrase, and asks where the node sees us come from.
func (p *patient) logIn(ctx context.Context) finding {
	if p.locked {
		return finding{state: stateSkipped, seen: "needs the passphrase of the key; emr-accessd connect asks for it"}
	}
	t, err := p.sshTarget()
	if err != nil {
		return failure(err)
	}
	public := ""
	if p.cluster.KeyName != "" {
		public, _ = p.client.KeyPair(ctx, p.cluster.KeyName) // that it fails was told before
	}
	t.Login = p.loginOf(public)
	client, err := sshsession.Dial(ctx, t)
	if ctx.Err() != nil {
		if err == nil {
			_ = client.Close()
		}
		return finding{}
	}
	if a, is := errors.AsType[*sshsession.AuthError](err); is {
		return bad(oneLine(a), loginHint(a, p.cluster.KeyName))
	}
	if err != nil {
		return bad(oneLine(err), joinHints(err, "try again"))
	}
	defer client.Close()
	f := ok(fmt.Sprintf("logged in as %s with %s", t.Login.User, client.LoginKey()))
	view, err := client.ServerView(ctx)
	for range viewTries - 1 { // a login shell on a busy node takes its time
		if err != nil && ctx.Err() == nil {
			view, err = client.ServerView(ctx)
		}
	}
	if err != nil || !view.IsValid() {
		f.notes = []string{"the node did not tell which address it sees you come from"}
		return f
	}
	return judgeView(f, view.Unmap(), p.me, p.target.Label)
}

// judgeView compares the address that the node sees with the one that the rule is for.
func judgeView(f finding, view, me netip.Addr, label string) finding {
	if me.IsValid() && view != me {
		f.seen += fmt.Sprintf("; but the node sees you as %s, and your rule is for %s: another rule lets you in", view, me)
		f.remedy = fmt.Sprintf("put %s into trusted in the target, or set ipv4 under [address] (docs/address.md); `emr-accessd audit %s --from %s` shows by which rule you come in", view, label, view)
		f.state = stateBad
		return f
	}
	f.seen += fmt.Sprintf("; the node sees you as %s", view)
	return f
}

// anyKey looks at the login keys alone, where there is no cluster.
func (d *doctor) anyKey() *exam {
	p := &patient{doctor: d, signedIn: &signedIn{}}
	return &exam{subject: thisComputer, id: "login-key", look: p.lookAtLoginKey}
}
