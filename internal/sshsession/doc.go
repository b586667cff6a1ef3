// Package sshsession opens an SSH session on an EC2 instance whose host key is verified, and runs a shell or a command in it.
//
// A host key is never accepted silently. It is known from an earlier session (Store, by instance id), or printed by cloud-init in
// the instance's console output (ParseConsole), or a person compares its fingerprint and says yes (Verifier.Ask); otherwise the
// connection is refused. A different key than the expected one is a hard stop.
//
// The package does not log, and reads the environment in DefaultAgent only. It knows nothing of AWS: its caller brings the console
// output, the address to dial and the public key of the cluster's key pair. It is the only importer of golang.org/x/crypto/ssh and
// golang.org/x/term.
package sshsession
