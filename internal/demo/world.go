package demo

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// WorldOptions say how a world is made. The zero value is usable.
type WorldOptions struct {
	// Dir is where the world keeps its files. It must exist and be empty; "" makes a temporary folder that Close removes.
	Dir string
	// AlwaysOpen makes the gate admit everybody. It is there for the test that the story notices it.
	AlwaysOpen bool
	// OneAddress makes the world as on a system whose only loopback address is 127.0.0.1.
	OneAddress bool
	// Passage is told each decision of the gate. It may be called from several goroutines.
	Passage func(Passage)
}

// World is a simulated AWS with one cluster, the cluster's primary node behind the gate, the echoes, and two people
// with a laptop each. It lives until Close.
type World struct {
	dir   string
	owned bool // Close removes dir
	real  bool // each laptop has a source address of its own

	sim      *awssim.Sim
	aws      *http.Server
	endpoint string
	cloud    cloud
	reader   *api // of the story and of callers
	guard    *api // of the gate
	node     *node
	gate     *gate
	echoes   []*echo
	caFile   string
	keyFile  string

	alice, bob *Laptop

	mu      sync.Mutex
	pretend netip.Addr // without real addresses: where the next connection to the gate comes from; zero is alice's place
}

// The addresses of the world. All are loopback addresses; where the system has only 127.0.0.1, they are what the world
// says in place of what sockets show.
func home() netip.Addr   { return netip.AddrFrom4([4]byte{127, 0, 0, 2}) }
func office() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 3}) }
func train() netip.Addr  { return netip.AddrFrom4([4]byte{127, 0, 0, 4}) }

// realAddresses reports whether sockets can be bound to all loopback addresses, as on Linux. macOS has only 127.0.0.1.
func realAddresses() bool {
	l, err := net.Listen("tcp4", netip.AddrPortFrom(home(), 0).String())
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// NewWorld makes a world and starts everything in it. ctx bounds the making only.
func NewWorld(ctx context.Context, o WorldOptions) (_ *World, err error) {
	w := &World{dir: o.Dir, real: !o.OneAddress && realAddresses()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make the demo's world: %w", err), w.Close())
		}
	}()
	if w.dir == "" {
		if w.dir, err = os.MkdirTemp("", "emr-accessd-demo-"); err != nil {
			return w, err
		}
		w.owned = true
	}
	if w.dir, err = filepath.Abs(w.dir); err != nil {
		return w, err
	}
	if err := w.startAWS(); err != nil {
		return w, err
	}
	if err := w.startNode(o); err != nil {
		return w, err
	}
	if err := w.startEchoes(); err != nil {
		return w, err
	}
	if w.alice, err = w.newLaptop("alice", "AKIADEMOALICE", "AIDADEMOALICE", home()); err != nil {
		return w, err
	}
	if w.bob, err = w.newLaptop("bob", "AKIADEMOBOB", "AIDADEMOBOB", office()); err != nil {
		return w, err
	}
	w.gate.start()
	return w, ctx.Err()
}

// startAWS serves the simulated region on a loopback socket.
func (w *World) startAWS() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.sim = awssim.New(awssim.Options{Region: region})
	w.endpoint = "http://" + l.Addr().String()
	w.aws = &http.Server{Handler: w.sim, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		if err := w.aws.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			l.Close() // then every call fails, and who made it says so
		}
	}()
	w.reader, w.guard = newAPI(w.endpoint, region, "AKIADEMOTELLER"), newAPI(w.endpoint, region, "AKIADEMOGATE")
	return nil
}

// startNode makes the node with its keys, the gate before it and the cluster around it. The gate does not accept yet.
func (w *World) startNode(o WorldOptions) error {
	at := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if w.real {
		at = netip.AddrFrom4([4]byte{127, 0, 0, 10})
	}
	login, err := w.writeKey()
	if err != nil {
		return err
	}
	w.node = &node{login: login, home: filepath.Join(w.dir, "node")}
	if err := os.Mkdir(w.node.home, 0o700); err != nil {
		return err
	}
	if w.node.keys, err = newHostKeys(); err != nil {
		return err
	}
	l, err := net.Listen("tcp4", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		return err
	}
	w.node.listen, err = netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close()
		return err
	}
	w.cloud = seed(w.sim, w.node, string(ssh.MarshalAuthorizedKey(login)))
	w.gate = &gate{
		listener: l, port: int(w.node.listen.Port()), serve: w.node.serve, saw: o.Passage, open: o.AlwaysOpen,
		rules: func(ctx context.Context) ([]Rule, error) {
			return w.guard.rules(ctx, w.cloud.master, w.cloud.additional)
		},
		source: w.gateSource,
	}
	return nil
}

// writeKey makes the user's key pair, and writes the private half where `connect -i` finds it.
func (w *World) writeKey() (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "emr-accessd demo")
	if err != nil {
		return nil, err
	}
	w.keyFile = filepath.Join(w.dir, keyName)
	if err := os.WriteFile(w.keyFile, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(public)
}

// keyName is the file name of the user's private key, in the world's folder.
const keyName = "id_ed25519"

// startEchoes starts the two echoes, each run by an operator of its own.
func (w *World) startEchoes() error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	w.caFile = filepath.Join(w.dir, "echo-ca.pem")
	if err := os.WriteFile(w.caFile, ca.pem, 0o600); err != nil {
		return err
	}
	for i, operator := range []string{"aws", "example"} {
		cert, err := ca.issue(int64(i)+2, operator)
		if err != nil {
			return err
		}
		e, err := startEcho(operator, cert, w.echoSource)
		if err != nil {
			return err
		}
		w.echoes = append(w.echoes, e)
	}
	return nil
}

// Close ends the world: every connection, every command on the node, and the files if the world made their folder. It
// may be called on a world that was only half made.
func (w *World) Close() error {
	if w.gate != nil {
		if w.gate.cancel == nil {
			w.gate.listener.Close() // never started
		} else {
			w.gate.close()
		}
	}
	for _, e := range w.echoes {
		e.close()
	}
	if w.aws != nil {
		w.aws.Close()
		w.reader.close()
		w.guard.close()
	}
	if w.owned {
		return os.RemoveAll(w.dir)
	}
	return nil
}

// Dir is the folder with the world's files.
func (w *World) Dir() string { return w.dir }

// Endpoint is the URL of the simulated AWS.
func (w *World) Endpoint() string { return w.endpoint }

// Cluster is the id of the one cluster, j-….
func (w *World) Cluster() string { return w.cloud.cluster }

// Group is the id of the primary node's managed security group, sg-….
func (w *World) Group() string { return w.cloud.master }

// SSHAddr is where the node's gate listens.
func (w *World) SSHAddr() netip.AddrPort { return w.node.listen }

// KeyFile is the path of the private key that may log in on the node, as the user hadoop.
func (w *World) KeyFile() string { return w.keyFile }

// Alice is the laptop that moves, at 127.0.0.2 to begin with.
func (w *World) Alice() *Laptop { return w.alice }

// Bob is the laptop of a colleague in the office, at 127.0.0.3.
func (w *World) Bob() *Laptop { return w.bob }

// RealAddresses reports whether the laptops really send from addresses of their own. Where not, the echoes and the gate
// go by the world's own notion of where a laptop is.
func (w *World) RealAddresses() bool { return w.real }

// Rules returns all rules of the world's groups, of both directions, as AWS tells them over the API, sorted by id.
func (w *World) Rules(ctx context.Context) ([]Rule, error) {
	rules, err := w.reader.rules(ctx, w.cloud.master, w.cloud.core, w.cloud.additional)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return rules, nil
}
