package sshsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ErrNoSubsystem says that the server does not offer a subsystem, as where its sshd_config has no line for it.
var ErrNoSubsystem = errors.New("the server does not offer it")

// Subsystem starts a subsystem of the server, such as "sftp", and returns its input and output as one stream. Closing the stream
// ends the subsystem; so does Close of the client, which also ends reads and writes that are stuck. The context covers this call only.
func (c *Client) Subsystem(ctx context.Context, name string) (io.ReadWriteCloser, error) {
	s, err := c.workSession(ctx)
	if err != nil {
		return nil, err
	}
	stream := &subsystem{session: s}
	if stream.WriteCloser, err = s.StdinPipe(); err == nil {
		stream.Reader, err = s.StdoutPipe()
	}
	var complaints io.Reader
	if err == nil {
		complaints, err = s.StderrPipe()
	}
	if err == nil {
		err = c.step(ctx, func() error { return s.RequestSubsystem(name) })
	}
	if err != nil {
		go s.Close() // blocks while the link is stuck
		if strings.HasSuffix(err.Error(), "subsystem request failed") {
			err = ErrNoSubsystem // x/crypto has no type for it
		}
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _, _ = io.Copy(io.Discard, complaints) }() // what is not read would fill the channel's window
	return stream, nil
}

type subsystem struct {
	io.Reader
	io.WriteCloser
	session *ssh.Session
}

// Close ends the subsystem without waiting for it.
func (s *subsystem) Close() error {
	err := s.session.Close()
	if errors.Is(err, io.EOF) {
		return nil // the server was first
	}
	return err
}
