package sshsession

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentWait is how long an agent may take to list its keys. (Signing has no limit of its own: the agent may ask its user.)
const agentWait = 5 * time.Second

// agentKey is a key of the agent.
type agentKey struct {
	source string
	pub    ssh.PublicKey
	signer *lazySigner
}

// openAgent connects to an agent and lists its keys. The connection stays open for signing until the keyring is closed.
func (r *keyring) openAgent(ctx context.Context, path string, pause func() func()) ([]agentKey, error) {
	if path == "" {
		return nil, nil
	}
	conn, err := dialAgent(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("the agent at %s cannot be reached: %w", path, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	r.close = func() {
		stop()
		conn.Close()
	}
	keys, err := listInTime(conn, pause)
	if err != nil {
		r.close()
		return nil, fmt.Errorf("the agent at %s does not list its keys: %w", path, err)
	}
	return keys, nil
}

func listInTime(conn io.ReadWriteCloser, pause func() func()) ([]agentKey, error) {
	late := time.AfterFunc(agentWait, func() { conn.Close() })
	keys, err := listAgent(agent.NewClient(conn), pause)
	if !late.Stop() {
		return nil, fmt.Errorf("no answer in %v", agentWait)
	}
	if err != nil {
		return nil, foreign{err}
	}
	return keys, nil
}

func listAgent(client agent.ExtendedAgent, pause func() func()) ([]agentKey, error) {
	listed, err := client.List()
	if err != nil {
		return nil, err
	}
	signers, err := client.Signers()
	if err != nil {
		return nil, err
	}
	var keys []agentKey
	for _, k := range listed {
		pub, err := ssh.ParsePublicKey(k.Blob)
		if err != nil {
			continue // a kind of key that this client does not know
		}
		for _, s := range signers {
			if !bytes.Equal(s.PublicKey().Marshal(), k.Blob) {
				continue
			}
			source := "agent"
			if k.Comment != "" {
				source += ": " + k.Comment
			}
			keys = append(keys, agentKey{source, pub, &lazySigner{pub: pub, unlock: func() (ssh.Signer, error) {
				return patientSigner{s, pause}, nil
			}}})
			break
		}
	}
	return keys, nil
}

// patientSigner stops the clock while the agent signs: it may have to ask its user, or wait for a touch.
type patientSigner struct {
	ssh.Signer
	pause func() func()
}

func (s patientSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	defer s.pause()()
	if a, ok := s.Signer.(ssh.AlgorithmSigner); ok {
		return a.SignWithAlgorithm(rand, data, algorithm)
	}
	return s.Sign(rand, data)
}

func (r *keyring) addAgent(keys []agentKey, which func(ssh.PublicKey) bool) {
	for _, k := range keys {
		if !which(k.pub) {
			continue
		}
		for _, c := range r.certs {
			if bytes.Equal(c.Key.Marshal(), k.pub.Marshal()) {
				if certified, err := ssh.NewCertSigner(c.Certificate, k.signer); err == nil {
					r.add(c.file+" ("+k.source+")", certified, k.signer)
				}
			}
		}
		r.add(k.source, k.signer, k.signer)
	}
}
