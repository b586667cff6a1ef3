package demo

import (
	"crypto/ecdsa"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// console is the console output of a node's first boot, with its host keys as cloud-init prints them (cloud-init,
// tools/write-ssh-key-fingerprints): the fingerprints through logger, each line with a prefix, then the whole keys.
func console(keys []ssh.Signer, host string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("[    0.000000] Linux version 6.1.112-122.189.amzn2023.x86_64 (mockbuild@amazonlinux)")
	line("[    9.811201] cloud-init[2093]: Cloud-init v. 22.2.2 running 'modules:final'")
	line("")
	line("cloud-init: ")
	line("cloud-init: #############################################################")
	line("cloud-init: -----BEGIN SSH HOST KEY FINGERPRINTS-----")
	for _, k := range keys {
		pub := k.PublicKey()
		line("cloud-init: %d %s root@%s (%s)", keyBits(pub), ssh.FingerprintSHA256(pub), host, keyLabel(pub))
	}
	line("cloud-init: -----END SSH HOST KEY FINGERPRINTS-----")
	line("cloud-init: #############################################################")
	line("-----BEGIN SSH HOST KEY KEYS-----")
	for _, k := range keys {
		line("%s root@%s", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.PublicKey()))), host)
	}
	line("-----END SSH HOST KEY KEYS-----")
	line("[   10.402771] cloud-init[2093]: Cloud-init v. 22.2.2 finished")
	line("")
	line("Amazon Linux 2023")
	line("%s login: ", host)
	return b.String()
}

// keyLabel is ssh-keygen's word for a key's type.
func keyLabel(key ssh.PublicKey) string {
	if key.Type() == ssh.KeyAlgoED25519 {
		return "ED25519"
	}
	return "ECDSA"
}

// keyBits is the length that ssh-keygen tells of a key.
func keyBits(key ssh.PublicKey) int {
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if ec, ok := c.CryptoPublicKey().(*ecdsa.PublicKey); ok {
			return ec.Params().BitSize
		}
	}
	return 256
}

// hostName is EC2's host name for a private address (EC2, "EC2 instance hostnames").
func hostName(private string) string { return "ip-" + strings.ReplaceAll(private, ".", "-") }
