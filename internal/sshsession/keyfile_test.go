package sshsession_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func publicKey(t testing.TB, key crypto.Signer) ssh.PublicKey {
	t.Helper()
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func writeKey(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openSSH(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func pkcs8(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// traditional is PKCS#1 for RSA, which EC2 hands out, and SEC 1 for ECDSA.
func traditional(t testing.TB, key crypto.Signer, passphrase string) []byte {
	t.Helper()
	var block *pem.Block
	switch k := key.(type) {
	case *rsa.PrivateKey:
		block = &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		block = &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	}
	if passphrase != "" {
		var err error
		//lint:ignore SA1019 users still have such files
		if block, err = x509.EncryptPEMBlock(rand.Reader, block.Type, block.Bytes, []byte(passphrase), x509.PEMCipherAES256); err != nil { //nolint:staticcheck // users still have such files
			t.Fatal(err)
		}
	}
	return pem.EncodeToMemory(block)
}

func TestKeyFormats(t *testing.T) {
	tests := []struct {
		name   string
		kind   string
		encode func(key crypto.Signer) []byte
		secret bool
	}{
		{"PKCS#1, as EC2 hands out", "rsa", func(k crypto.Signer) []byte { return traditional(t, k, "") }, false},
		{"PKCS#1 with CRLF", "rsa", func(k crypto.Signer) []byte {
			return []byte(strings.ReplaceAll(string(traditional(t, k, "")), "\n", "\r\n"))
		}, false},
		{"PKCS#8 RSA", "rsa", func(k crypto.Signer) []byte { return pkcs8(t, k) }, false},
		{"PKCS#8 Ed25519", "ed25519", func(k crypto.Signer) []byte { return pkcs8(t, k) }, false},
		{"SEC 1 ECDSA", "ecdsa384", func(k crypto.Signer) []byte { return traditional(t, k, "") }, false},
		{"OpenSSH RSA", "rsa", func(k crypto.Signer) []byte { return openSSH(t, k) }, false},
		{"OpenSSH ECDSA", "ecdsa", func(k crypto.Signer) []byte { return openSSH(t, k) }, false},
		{"OpenSSH Ed25519", "ed25519", func(k crypto.Signer) []byte { return openSSH(t, k) }, false},
		{"OpenSSH encrypted", "locked", func(crypto.Signer) []byte { return locked().file }, true},
		{"PKCS#1 encrypted", "rsa", func(k crypto.Signer) []byte { return traditional(t, k, "secret") }, true},
		{"SEC 1 encrypted", "ecdsa", func(k crypto.Signer) []byte { return traditional(t, k, "secret") }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := newKey(t, tt.kind)
			target, srv := newTarget(t, "ed25519")
			srv.accept = []ssh.PublicKey{publicKey(t, key)}
			target.Addr = srv.listen()
			mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
			path := writeKey(t, t.TempDir(), "it's a key.pem", tt.encode(key))
			asked := 0
			target.HandshakeTimeout = 5 * time.Minute // with the race detector a file is decrypted in 6 s, by a machine that has nothing else to do
			target.Login.KeyFiles = []string{path}
			target.Login.Passphrase = func(_ context.Context, file string) ([]byte, error) {
				if asked++; file != path || asked > 2 {
					t.Errorf("passphrase asked for %s, time %d", file, asked)
				}
				return []byte([]string{"wrong", "secret"}[asked-1]), nil
			}
			c := mustDial(t, target)
			if k := c.LoginKey(); k.Source != path || k.Key.SHA256 != ssh.FingerprintSHA256(publicKey(t, key)) {
				t.Errorf("logged in with %v", k)
			}
			if want := map[bool]int{true: 2}[tt.secret]; asked != want {
				t.Errorf("passphrase asked for %d times, want %d", asked, want)
			}
		})
	}
}

func TestBadKeyFiles(t *testing.T) {
	key := newKey(t, "ed25519")
	encrypted8 := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("whatever")})
	tests := []struct {
		name string
		data []byte
		mode os.FileMode
		want string
	}{
		{"my key.ppk", []byte("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n"), 0o600, "key.ppk' -O private-openssh -o '"},
		{"pkcs8.pem", encrypted8, 0o600, "ssh-keygen -p -f /"},
		{"id_ed25519.pub", []byte(authorized(publicKey(t, key)) + " me"), 0o600, "is a public key"},
		{"text", []byte("hello\x1b[2J"), 0o600, "no private key"},
		{"empty", nil, 0o600, "no private key"},
		{"broken.pem", []byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"), 0o600, "broken.pem: asn1"},
		{"huge", make([]byte, 100<<10), 0o600, "larger than"},
		{"open.pem", openSSH(t, key), 0o640, "chmod 600 /"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.mode != 0o600 && runtime.GOOS == "windows" {
				t.Skip("file modes say nothing on Windows")
			}
			target, _ := newTarget(t)
			target.Dial = noDial(t)
			path := writeKey(t, t.TempDir(), tt.name, tt.data)
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			target.Login.KeyFiles = []string{path}
			_, err := sshsession.Dial(t.Context(), target)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		target, _ := newTarget(t)
		target.Dial = noDial(t)
		target.Login.KeyFiles = []string{filepath.Join(t.TempDir(), "none")}
		if _, err := sshsession.Dial(t.Context(), target); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v, want that the file does not exist", err)
		}
	})
	t.Run("only the public key is left", func(t *testing.T) {
		target, _ := newTarget(t)
		target.Dial = noDial(t)
		public := writeKey(t, t.TempDir(), "team.pub", []byte(authorized(publicKey(t, key))))
		target.Login.KeyFiles = []string{strings.TrimSuffix(public, ".pub")}
		if _, err := sshsession.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), public+" is a public key") {
			t.Errorf("error %v, want that %s is one", err, public)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		target, _ := newTarget(t)
		target.Dial = noDial(t)
		target.Login.KeyFiles = []string{t.TempDir()}
		if _, err := sshsession.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("error %v", err)
		}
	})
}

// TestPassphrase counts how often a person is asked, and what follows.
func TestPassphrase(t *testing.T) {
	stop := sshsession.ErrInterrupted
	tests := []struct {
		name    string
		encode  func(crypto.Signer) []byte
		kind    string
		pubFile bool
		accept  bool // whether the server wants the key
		answer  func() ([]byte, error)
		asked   int
		want    string
	}{
		{"wrong three times", func(crypto.Signer) []byte { return locked().file }, "locked", false, true,
			func() ([]byte, error) { return []byte("wrong"), nil }, 3, "wrong passphrase, 3 times"},
		{"not asked for a key that the server does not want", func(crypto.Signer) []byte { return locked().file }, "locked", false, false,
			nil, 0, "accepted none of the keys"},
		{"PKCS#1 with its public key beside it", func(k crypto.Signer) []byte { return traditional(t, k, "secret") }, "rsa", true, false,
			nil, 0, "accepted none of the keys"},
		{"PKCS#1 alone has to be opened to know", func(k crypto.Signer) []byte { return traditional(t, k, "secret") }, "rsa", false, false,
			func() ([]byte, error) { return []byte("secret"), nil }, 1, "accepted none of the keys"},
		{"Ctrl-C", func(crypto.Signer) []byte { return locked().file }, "locked", false, true,
			func() ([]byte, error) { return nil, stop }, 1, stop.Error()},
		{"Ctrl-C before the connection", func(k crypto.Signer) []byte { return traditional(t, k, "secret") }, "rsa", false, true,
			func() ([]byte, error) { return nil, stop }, 1, stop.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := newKey(t, tt.kind)
			target, srv := newTarget(t, "ed25519")
			srv.accept = nil
			if tt.accept {
				srv.accept = []ssh.PublicKey{publicKey(t, key)}
			}
			target.Addr = srv.listen()
			mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
			path := writeKey(t, t.TempDir(), "key", tt.encode(key))
			if tt.pubFile {
				writeKey(t, filepath.Dir(path), "key.pub", []byte(authorized(publicKey(t, key))))
			}
			asked := 0
			target.Login.KeyFiles = []string{path}
			target.Login.Passphrase = func(context.Context, string) ([]byte, error) {
				asked++
				return tt.answer()
			}
			_, err := sshsession.Dial(t.Context(), target)
			if err == nil || !strings.Contains(err.Error(), tt.want) || asked != tt.asked {
				t.Errorf("asked %d times, error %v; want %d and %q", asked, err, tt.asked, tt.want)
			}
			if tt.answer != nil && errors.Is(err, stop) != (tt.want == stop.Error()) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("nobody to ask", func(t *testing.T) {
		key := newKey(t, "locked")
		target, srv := newTarget(t, "ed25519")
		srv.accept = []ssh.PublicKey{publicKey(t, key)}
		target.Addr = srv.listen()
		mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
		target.Login.KeyFiles = []string{writeKey(t, t.TempDir(), "key", locked().file)}
		_, err := sshsession.Dial(t.Context(), target)
		if e, ok := errors.AsType[*sshsession.AuthError](err); !ok || !strings.Contains(e.Error(), "ssh-add ") {
			t.Errorf("error %v, want an AuthError that names ssh-add", err)
		}
	})
}

// TestPassphraseThatSeemsToFit uses a wrong passphrase that the traditional format cannot tell from the right one.
func TestPassphraseThatSeemsToFit(t *testing.T) {
	for _, kind := range []string{"rsa", "ecdsa"} {
		key := newKey(t, kind)
		data := traditional(t, key, "secret")
		block, _ := pem.Decode(data)
		wrong := ""
		for i := range 1 << 16 {
			wrong = fmt.Sprint("wrong", i)
			//lint:ignore SA1019 users still have such files
			if _, err := x509.DecryptPEMBlock(block, []byte(wrong)); err == nil { //nolint:staticcheck // users still have such files
				break
			}
		}
		target, srv := newTarget(t, "ed25519")
		srv.accept = []ssh.PublicKey{publicKey(t, key)}
		target.Addr = srv.listen()
		mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
		answers := []string{wrong, "secret"}
		target.Login.KeyFiles = []string{writeKey(t, t.TempDir(), "key", data)}
		target.Login.Passphrase = func(context.Context, string) ([]byte, error) {
			answer := answers[0]
			answers = answers[1:]
			return []byte(answer), nil
		}
		mustDial(t, target)
	}
}

func noDial(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		t.Error("connected although the login cannot work")
		return nil, errors.New("no")
	}
}
