package sshsession

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// maxKeyFile bounds a private key file, in bytes. A 16384-bit RSA key has 13 KB.
	maxKeyFile = 64 << 10
	// passphraseTries is how often a passphrase is asked for, as in OpenSSH.
	passphraseTries = 3
)

// keyFile is a private key file that was looked at. An encrypted one is opened only when a server wants this very key, so that nobody
// types a passphrase for nothing.
type keyFile struct {
	path  string
	pub   ssh.PublicKey
	plain ssh.Signer // nil while encrypted
	pem   []byte

	cert     *ssh.Certificate
	certFile string
	note     string // why the certificate next to it is not used

	elsewhere bool // only the public key is here: the agent has the other part, such as one on a token
}

// publicOnly is the key of a public key file, or of a name that has none but such a file beside it (NAME.pub): as with OpenSSH, it picks
// a key of the agent. Nil if it is neither.
func publicOnly(path string) *keyFile {
	pub := readPublic(path)
	if _, err := os.Stat(path); pub == nil && errors.Is(err, fs.ErrNotExist) {
		path += ".pub"
		pub = readPublic(path)
	}
	if pub == nil {
		return nil
	}
	return &keyFile{path: path, pub: plainKey(pub), elsewhere: true}
}

// errElsewhere says that a public key was named, and no agent has the private one.
func errElsewhere(path string) error {
	return fmt.Errorf("%s is a public key, and no agent holds the private one; give the private key file, or load it: ssh-add", path)
}

// errNeedsPassphrase says that a key file does not even tell its public key without the passphrase.
var errNeedsPassphrase = errors.New("the private key is encrypted, and its public key is not known")

// readKeyFile reads and checks a private key file, in any of the formats that EC2, ssh-keygen and openssl write.
func readKeyFile(path string) (*keyFile, error) {
	data, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	if err := explainFormat(path, data); err != nil {
		return nil, err
	}
	k := &keyFile{path: path, pem: data}
	k.plain, err = ssh.ParsePrivateKey(data)
	missing, encrypted := errors.AsType[*ssh.PassphraseMissingError](err)
	switch {
	case err == nil:
		k.pub = k.plain.PublicKey()
	case encrypted:
		if k.pub = missing.PublicKey; k.pub == nil {
			k.pub = readPublic(path + ".pub")
		}
	default:
		return nil, fmt.Errorf("private key %s: %w", path, foreign{err})
	}
	if k.pub == nil {
		return k, errNeedsPassphrase
	}
	if k.pub.Type() == "ssh-dss" {
		return nil, fmt.Errorf("private key %s: DSA keys are accepted nowhere any more", path)
	}
	k.useCertificate(k.path + "-cert.pub")
	return k, nil
}

func readPrivate(path string) ([]byte, error) {
	f, err := openPlain(path)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("private key %s: not a regular file", path)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("private key %s: larger than %d bytes, this is no key file", path, maxKeyFile)
	}
	return data, nil
}

// openPlain opens a file for reading. A named pipe would wait for a writer, and so for ever.
func openPlain(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return os.Open(path)
}

// explainFormat names the formats that cannot be used, with the command that converts them.
func explainFormat(path string, data []byte) error {
	if bytes.HasPrefix(data, []byte("PuTTY-User-Key-File-")) {
		pem := strings.TrimSuffix(path, ".ppk") + ".pem"
		return fmt.Errorf("private key %s: this is PuTTY's format; convert it with: puttygen %s -O private-openssh -o %s",
			path, shellQuote(path), shellQuote(pem))
	}
	block, _ := pem.Decode(data)
	if block != nil && block.Type == "ENCRYPTED PRIVATE KEY" {
		return fmt.Errorf("private key %s: encrypted PKCS#8 cannot be read; convert it in place with: ssh-keygen -p -f %s", path, shellQuote(path))
	}
	if block == nil {
		if pub, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil {
			return fmt.Errorf("%s is a public key (%s); give the private key file", path, printable(pub.Type()))
		}
		return fmt.Errorf("private key %s: no private key in PEM or OpenSSH format found", path)
	}
	return nil
}

// readPublic reads a public key or certificate file; nil if there is none that is good.
func readPublic(path string) ssh.PublicKey {
	f, err := openPlain(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return pub
}

// useCertificate takes a certificate of the key: as OpenSSH does, the one next to it, KEY-cert.pub, or one that was named.
func (k *keyFile) useCertificate(name string) {
	cert, ok := readPublic(name).(*ssh.Certificate)
	if !ok {
		return
	}
	if bytes.Equal(cert.Key.Marshal(), k.pub.Marshal()) {
		if k.note = unusable(cert); k.note == "" {
			k.cert, k.certFile = cert, name
			return
		}
	} else {
		k.note = "belongs to another key"
	}
	k.note = name + " " + k.note
}

// unusable says why a certificate proves nothing now; "" if it may.
func unusable(cert *ssh.Certificate) string {
	now := uint64(time.Now().Unix())
	switch {
	case cert.CertType != ssh.UserCert:
		return "is not a user certificate"
	case cert.ValidBefore != ssh.CertTimeInfinity && now >= cert.ValidBefore:
		return "has expired"
	case now < cert.ValidAfter:
		return "is not valid yet"
	}
	return ""
}

// passphraseFunc asks for the passphrase of a file.
type passphraseFunc func(ctx context.Context, file string) ([]byte, error)

// unlock decrypts the key. The error of an ask that was interrupted comes back as it is.
func (k *keyFile) unlock(ctx context.Context, ask passphraseFunc) (ssh.Signer, error) {
	if k.plain != nil {
		return k.plain, nil
	}
	if ask == nil {
		return nil, fmt.Errorf("private key %s: it is encrypted, and nobody can be asked for the passphrase without a terminal; "+
			"load it into an agent: ssh-add %s", k.path, shellQuote(k.path))
	}
	for range passphraseTries {
		secret, err := ask(ctx, k.path)
		if err != nil {
			return nil, err
		}
		signer, err := ssh.ParsePrivateKeyWithPassphrase(k.pem, secret)
		clear(secret)
		if k.wrongPassphrase(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("private key %s: %w", k.path, foreign{err})
		}
		if k.pub != nil && !bytes.Equal(k.pub.Marshal(), signer.PublicKey().Marshal()) {
			return nil, fmt.Errorf("private key %s: it does not belong to %s.pub", k.path, k.path)
		}
		k.plain, k.pub = signer, signer.PublicKey()
		return signer, nil
	}
	return nil, fmt.Errorf("private key %s: wrong passphrase, %d times", k.path, passphraseTries)
}

// wrongPassphrase says whether an error comes from the passphrase. The traditional formats have no checksum: one wrong passphrase in 256
// seems to fit and gives noise, and whatever the noise breaks then is the error.
func (k *keyFile) wrongPassphrase(err error) bool {
	if err == nil || errors.Is(err, x509.IncorrectPasswordError) {
		return err != nil
	}
	block, _ := pem.Decode(k.pem)
	cannot := strings.HasPrefix(err.Error(), "ssh: cannot decode") // such as an unknown cipher
	return block != nil && block.Type != "OPENSSH PRIVATE KEY" && !cannot
}

// lazySigner offers a public key at once and gets the private one when the server wants a signature.
type lazySigner struct {
	pub    ssh.PublicKey
	unlock func() (ssh.Signer, error)
	err    error // why unlock failed
}

func (s *lazySigner) PublicKey() ssh.PublicKey { return s.pub }

// Algorithms keeps RSA keys to SHA-2.
func (s *lazySigner) Algorithms() []string {
	if cert, ok := s.pub.(*ssh.Certificate); ok {
		return signatureAlgorithms(cert.Key.Type())
	}
	return signatureAlgorithms(s.pub.Type())
}

func (s *lazySigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, s.Algorithms()[0])
}

func (s *lazySigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if !slices.Contains(s.Algorithms(), algorithm) {
		return nil, fmt.Errorf("signature algorithm %s is not used", printable(algorithm))
	}
	signer, err := s.unlock()
	if err != nil {
		s.err = err
		return nil, err
	}
	if a, ok := signer.(ssh.AlgorithmSigner); ok {
		return a.SignWithAlgorithm(rand, data, algorithm)
	}
	return signer.Sign(rand, data)
}
