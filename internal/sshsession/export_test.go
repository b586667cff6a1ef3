package sshsession

import (
	"io"

	"golang.org/x/crypto/ssh"
)

// FilterEscapes runs the escape filter over chunks of one input, for tests.
func FilterEscapes(chunks ...[]byte) (send []byte, end, help bool) {
	var e escapes
	for _, c := range chunks {
		s, stop, h := e.filter(c)
		send, help = append(send, s...), help || h
		if stop {
			return send, true, help
		}
	}
	return send, false, help
}

// Printable is the escaper for foreign text, for tests.
func Printable(s string) string { return printable(s) }

// Break cuts a client's connection as a network would, for tests.
func Break(c *Client) { c.conn.Close() }

// StoredIn reads the keys of an instance from the text of a host key file, for fuzzing without a disk.
func StoredIn(data, instance string) ([]Pin, error) {
	return (&Store{path: "known_hosts"}).pins(parseStore(data), instance)
}

// StoreText replaces the keys of an instance in the text of a host key file.
func StoreText(data, instance string, key ssh.PublicKey) string {
	lines := append(forget(parseStore(data), instance), newStoreLine(instance, Pin{Key: key, Origin: OriginConsole}))
	return joinLines(lines)
}

// ListAgent lists the keys of an agent at the other end of a connection.
func ListAgent(conn io.ReadWriteCloser) error {
	_, err := listInTime(conn, func() func() { return func() {} })
	return err
}

// ExportedInstance reads the first line of an exported file.
func ExportedInstance(text string) string { return exportedInstance(text) }
