package sshsession_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// rsaKeys are made once: a 2048-bit key takes a good part of a second under -race.
var rsaKeys = [2]func() *rsa.PrivateKey{sync.OnceValue(newRSA), sync.OnceValue(newRSA)}

func newRSA() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// locked is a key with its encrypted file, made once: the format is slow on purpose.
var locked = sync.OnceValue(func() (l struct {
	key  ed25519.PrivateKey
	file []byte
}) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "test", []byte("secret"))
	if err != nil {
		panic(err)
	}
	l.key, l.file = key, pem.EncodeToMemory(block)
	return l
})

// newKey makes a private key of this kind: ed25519, ecdsa, ecdsa384, rsa, or rsa2, another one. "locked" is that of the encrypted file.
func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "locked":
		key = locked().key
	case "rsa":
		key = rsaKeys[0]()
	case "rsa2":
		key = rsaKeys[1]()
	default:
		t.Fatalf("no kind of key: %s", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigner(t testing.TB, kind string) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(newKey(t, kind))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keySet are the public keys of several kinds.
func keySet(t testing.TB, kinds ...string) []ssh.PublicKey {
	t.Helper()
	var keys []ssh.PublicKey
	for _, k := range kinds {
		keys = append(keys, newSigner(t, k).PublicKey())
	}
	return keys
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// keyBlock is what cloud-init writes to the console: the whole keys.
func keyBlock(prefix, newline string, keys ...ssh.PublicKey) string {
	lines := []string{"-----BEGIN SSH HOST KEY KEYS-----"}
	for _, k := range keys {
		lines = append(lines, authorized(k)+" root@ip-172-31-70-225")
	}
	return joinConsole(prefix, newline, append(lines, "-----END SSH HOST KEY KEYS-----"))
}

// printBlock is what cloud-init writes through logger: the fingerprints, as "ssh-keygen -l" prints them.
func printBlock(prefix, newline string, keys ...ssh.PublicKey) string {
	lines := []string{strings.Repeat("#", 61), "-----BEGIN SSH HOST KEY FINGERPRINTS-----"}
	for i, k := range keys {
		label := map[string]string{ssh.KeyAlgoED25519: "256 %s (ED25519)", ssh.KeyAlgoECDSA256: "256 %s (ECDSA)",
			ssh.KeyAlgoECDSA384: "384 %s (ECDSA)", ssh.KeyAlgoRSA: "2048 %s (RSA)"}[k.Type()]
		comment := []string{"root@ip-10-0-2-182", "no comment"}[i%2]
		lines = append(lines, fmt.Sprintf(label, ssh.FingerprintSHA256(k)+" "+comment))
	}
	return joinConsole(prefix, newline, append(lines, "-----END SSH HOST KEY FINGERPRINTS-----", strings.Repeat("#", 61)))
}

func joinConsole(prefix, newline string, lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(prefix + l + newline)
	}
	return b.String()
}
