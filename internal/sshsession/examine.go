package sshsession

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// What is looked at here is for people who ask why they cannot connect: nothing is stored, and nobody is asked.

const (
	// greetTime is how long a server may take to say what it is. sshd says it at once, unless it looks up names first.
	greetTime = 10 * time.Second
	// greetLimit bounds what is read of a server that says something else, in bytes.
	greetLimit = 8 << 10
)

var (
	// ErrNotSSH says that something answered which does not speak SSH.
	ErrNotSSH = errors.New("what answers is not an SSH server")
	// ErrSilent says that a connection was made, and nothing came over it.
	ErrSilent = errors.New("the connection was made, and then nothing came")
)

// Greeting reads the line by which an SSH server says what it is, such as "SSH-2.0-OpenSSH_8.7" (RFC 4253, section 4.2),
// and closes the connection. The errors: ErrNotSSH with the first words that came, ErrSilent, and those of the network.
func Greeting(ctx context.Context, conn net.Conn) (string, error) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(greetTime)); err != nil {
		return "", err
	}
	// Said first: a web server says nothing before it is asked, and then complains in its own words.
	if _, err := io.WriteString(conn, "SSH-2.0-emr-accessd\r\n"); err != nil {
		return "", ended(ctx, err)
	}
	lines := bufio.NewReader(io.LimitReader(conn, greetLimit))
	first := ""
	for {
		line, err := lines.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "SSH-") {
			return printable(brief(line)), nil
		}
		if first == "" {
			first = strings.TrimSpace(line)
		}
		if err == nil {
			continue // a server may say something before (RFC 4253)
		}
		if first != "" {
			return "", fmt.Errorf("%w: it says %q", ErrNotSSH, printable(brief(first)))
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && ctx.Err() == nil {
			return "", fmt.Errorf("%w for %v", ErrSilent, greetTime)
		}
		if errors.Is(err, io.EOF) || isAny(err, connReset()) {
			return "", fmt.Errorf("%w: the server hung up at once", ErrSilent)
		}
		return "", ended(ctx, err)
	}
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return foreign{err}
}

// brief bounds a foreign text.
func brief(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// CheckHostKey connects, has the server prove its host key, and hangs up before any login. The errors are those of Dial; where
// nothing vouches for the key it is an *UnverifiedError.
func CheckHostKey(ctx context.Context, t Target) (Verified, error) {
	t.defaults()
	t.Verifier.Ask = nil
	e, err := t.Verifier.expect(ctx, t.Addr)
	if err != nil {
		return Verified{}, err
	}
	key, err := t.probe(ctx, hostKeyAlgorithms(e.prints))
	if err != nil {
		return Verified{}, e.missing(err)
	}
	err = e.check(key)
	if _, unknown := errors.AsType[*unknownKeyError](err); unknown {
		err = e.ask(ctx, key)
	}
	if err != nil {
		return Verified{}, err
	}
	return Verified{Key: fingerprintOf(key), Origin: e.origin, Stored: e.stored}, nil
}

// FoundKey is a key that a login would offer.
type FoundKey struct {
	OfferedKey
	Agent     bool // the agent holds it
	Encrypted bool // it needs a passphrase
	Wanted    bool // it is the private key of WantPublicKey
}

// FoundKeys are the keys of a login, in the order of offering.
type FoundKeys struct {
	Keys    []FoundKey
	Skipped []OfferedKey // found but not offered, with the reason
}

// Keys finds the keys that a login would offer. No key is used, and no passphrase asked for. The error is for a file that was
// named and is not good.
func (l Login) Keys(ctx context.Context) (FoundKeys, error) {
	want, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(l.WantPublicKey)) // what cannot be read is an error of keys below
	l.Passphrase = nil
	named := l.KeyFiles
	var locked []OfferedKey
	l.KeyFiles = nil
	for _, path := range named {
		_, err := readKeyFile(path)
		if errors.Is(err, errNeedsPassphrase) { // good, but it tells nothing until it is opened
			locked = append(locked, OfferedKey{Source: path, Reason: err.Error()})
			continue
		}
		if err != nil && publicOnly(path) == nil {
			return FoundKeys{}, err
		}
		l.KeyFiles = append(l.KeyFiles, path)
	}
	if len(named) > 0 {
		l.Folder = "" // not searched when files are named
	}
	r, err := l.keys(ctx, func() func() { return func() {} })
	if err != nil {
		return FoundKeys{}, err
	}
	defer r.close()
	out := FoundKeys{Skipped: append(locked, r.skipped...)}
	for _, c := range r.offer {
		pub := c.signer.PublicKey()
		k := FoundKey{OfferedKey: OfferedKey{Source: c.source, Key: fingerprintOf(pub)}, Agent: c.source == "agent" || strings.HasPrefix(c.source, "agent: ")}
		k.Wanted = want != nil && bytes.Equal(plainKey(pub).Marshal(), want.Marshal())
		if !k.Agent {
			_, err := c.lazy.unlock()
			k.Encrypted = err != nil
		}
		out.Keys = append(out.Keys, k)
	}
	return out, nil
}
