//go:build unix && !linux && !darwin

package sshsession

import "golang.org/x/crypto/ssh"

// terminalModes is empty: the server's own modes are good ones.
func terminalModes(int) ssh.TerminalModes { return ssh.TerminalModes{} }
