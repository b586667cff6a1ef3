package main

import (
	"bytes"
	"context"
	"sync"
)

// passphrases keeps what was typed for key files, in memory, so that a connection which is made again does not ask again: a laptop that
// moves would ask all day, and be cut off until somebody looks.
type passphrases struct {
	mu    sync.Mutex
	known map[string][]byte // by file
	given map[string]bool   // in this login
}

// begin begins a login.
func (p *passphrases) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given = nil
}

// ask answers with what is known, once a login: what is asked for again was wrong, and the person is asked. The caller may overwrite
// what it gets.
func (p *passphrases) ask(ctx context.Context, file string, person func(context.Context, string) ([]byte, error)) ([]byte, error) {
	p.mu.Lock()
	secret, again := p.known[file], p.given[file]
	if p.given == nil {
		p.given = map[string]bool{}
	}
	p.given[file] = true
	p.mu.Unlock()
	if secret != nil && !again {
		return bytes.Clone(secret), nil
	}
	secret, err := person(ctx, file)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string][]byte{}
	}
	p.known[file] = bytes.Clone(secret)
	return secret, nil
}
