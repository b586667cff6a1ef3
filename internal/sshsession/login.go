package sshsession

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	// maxOffered is how many keys are offered: sshd cuts the connection at its MaxAuthTries, six by default.
	maxOffered = 5
	// maxSearched bounds how many files of the key folder are looked at.
	maxSearched = 200
)

// Login says who logs in and with what. Keys are offered in this order, at most five:
// the files in KeyFiles; keys of the agent, then other files, that match WantPublicKey; the files in Files; other keys of the agent; the
// folder's default keys. A key's certificate (KEY-cert.pub next to it, or one of Certificates) goes before the key itself. The folder is
// not searched when KeyFiles names files.
type Login struct {
	// User is the account, on EMR always "hadoop" unless Kerberos or LDAP is set up.
	User string
	// KeyFiles are private key files that the user named. A public one picks a key of the agent; so it does among Files.
	KeyFiles []string
	// Files are further private key files, such as those of an ssh configuration. One that cannot be used is passed over.
	Files []string
	// Certificates are files with certificates for these keys. One that belongs to none of them is passed over.
	Certificates []string
	// Only keeps to the keys that are named or wanted: no other key of the agent, and no default key where Files names some.
	Only bool
	// Folder is where keys are searched, usually ~/.ssh. Empty means nowhere.
	Folder string
	// Agent is the agent's Unix socket (SSH_AUTH_SOCK), on Windows its named pipe. Empty means none.
	Agent string
	// WantPublicKey is the public key of the cluster's key pair as one authorized_keys line (DescribeKeyPairs with IncludePublicKey).
	// Empty where it is not known.
	WantPublicKey string
	// Passphrase asks for the passphrase of a key file. It may be asked three times a file. The slice it returns is overwritten. Nil
	// means that nobody can be asked.
	Passphrase func(ctx context.Context, file string) ([]byte, error)
}

// OfferedKey is a key that was offered to a server or passed over.
type OfferedKey struct {
	Source string // the file's path, or "agent" with the agent's comment
	Key    Fingerprint
	Reason string // why it was not accepted, where that is known
}

func (k OfferedKey) String() string {
	s := printable(k.Source)
	if k.Key != (Fingerprint{}) {
		s += " (" + k.Key.String() + ")"
	}
	if k.Reason != "" {
		s += ": " + printable(k.Reason)
	}
	return s
}

// candidate is a key in the order of offering.
type candidate struct {
	source string
	signer ssh.Signer
	lazy   *lazySigner
}

// keyring is a Login with its keys found.
type keyring struct {
	user    string
	offer   []candidate
	certs   []namedCertificate
	skipped []OfferedKey
	close   func()
}

// namedCertificate is a certificate of one of the Certificates.
type namedCertificate struct {
	file string
	*ssh.Certificate
}

// add appends a key unless it is there already, which is how an agent's key spares the passphrase of the same key's file.
func (r *keyring) add(source string, signer ssh.Signer, lazy *lazySigner) {
	blob := signer.PublicKey().Marshal()
	if !slices.ContainsFunc(r.offer, func(c candidate) bool { return bytes.Equal(c.signer.PublicKey().Marshal(), blob) }) {
		r.offer = append(r.offer, candidate{source, signer, lazy})
	}
}

func (r *keyring) skip(source string, err error) {
	r.skipped = append(r.skipped, OfferedKey{Source: source, Reason: err.Error()})
}

// keys finds the keys. A file that the user named must be good; of others, what is wrong is kept for the error of a failed login.
// pause is called before and the function it returns after a person is asked.
func (l Login) keys(ctx context.Context, pause func() func()) (*keyring, error) {
	if l.User == "" || strings.ContainsFunc(l.User, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("%q is not a user name", printable(l.User))
	}
	var want ssh.PublicKey
	if l.WantPublicKey != "" {
		var err error
		if want, _, _, _, err = ssh.ParseAuthorizedKey([]byte(l.WantPublicKey)); err != nil {
			return nil, fmt.Errorf("the public key of the cluster's key pair cannot be read: %w", foreign{err})
		}
	}
	r := &keyring{user: l.User, close: func() {}}
	ask := l.asker(pause)
	agentKeys, err := r.openAgent(ctx, l.Agent, pause)
	if err != nil {
		r.skip("agent", err)
	}
	for _, file := range l.Certificates {
		cert, ok := readPublic(file).(*ssh.Certificate)
		switch {
		case !ok:
			r.skip(file, errors.New("it holds no certificate that can be read"))
		case unusable(cert) != "":
			r.skip(file, errors.New("it "+unusable(cert)))
		default:
			r.certs = append(r.certs, namedCertificate{file, cert})
		}
	}
	for _, path := range l.KeyFiles {
		if err := r.addNamed(ctx, path, agentKeys, ask); err != nil {
			r.close()
			return nil, err
		}
	}
	matches := func(pub ssh.PublicKey) bool {
		return want != nil && bytes.Equal(plainKey(pub).Marshal(), want.Marshal())
	}
	var folder []*keyFile
	if l.Folder != "" && len(l.KeyFiles) == 0 {
		folder = r.search(l.Folder, want)
	}
	further := r.further(l.Files)
	all := func(ssh.PublicKey) bool { return true }
	r.addAgent(agentKeys, matches)
	r.addFiles(ctx, slices.Concat(further, folder), ask, matches)
	for _, k := range further {
		r.addAgent(agentKeys, k.is)
		r.addFile(ctx, k, ask)
		if k.elsewhere && !holds(agentKeys, k) {
			r.skip(k.path, errors.New("only its public key is here, and no agent holds the private one"))
		}
	}
	if !l.Only {
		r.addAgent(agentKeys, all)
	}
	if !l.Only || len(l.Files) == 0 {
		r.addFiles(ctx, folder, ask, all)
	}
	for _, c := range r.offer[min(len(r.offer), maxOffered):] {
		r.skipped = append(r.skipped, OfferedKey{Source: c.source, Key: fingerprintOf(c.signer.PublicKey()),
			Reason: fmt.Sprintf("not offered, servers allow few tries and %d keys came before it", maxOffered)})
	}
	r.offer = r.offer[:min(len(r.offer), maxOffered)]
	return r, nil
}

// WantedFile is the private key file among Files and those of the folder that holds WantPublicKey; "" if there is none, or if the key is
// not known. Nobody is asked anything, and no agent.
func (l Login) WantedFile() string {
	want, _, _, _, err := ssh.ParseAuthorizedKey([]byte(l.WantPublicKey))
	if err != nil {
		return ""
	}
	r := &keyring{}
	files := r.further(l.Files)
	if l.Folder != "" {
		files = append(files, r.search(l.Folder, want)...)
	}
	for _, k := range files {
		if k.is(want) && !k.elsewhere {
			return k.path
		}
	}
	return ""
}

func (l Login) asker(pause func() func()) passphraseFunc {
	if l.Passphrase == nil {
		return nil
	}
	return func(ctx context.Context, file string) ([]byte, error) {
		defer pause()()
		return l.Passphrase(ctx, file)
	}
}

// plainKey is the key that a certificate certifies, or the key itself.
func plainKey(pub ssh.PublicKey) ssh.PublicKey {
	if cert, ok := pub.(*ssh.Certificate); ok {
		return cert.Key
	}
	return pub
}

// is reports whether a key, or the one that a certificate is about, is this one.
func (k *keyFile) is(pub ssh.PublicKey) bool {
	return bytes.Equal(plainKey(pub).Marshal(), k.pub.Marshal())
}

// holds reports whether an agent has the key.
func holds(agentKeys []agentKey, k *keyFile) bool {
	return slices.ContainsFunc(agentKeys, func(a agentKey) bool { return k.is(a.pub) })
}

// addNamed adds a file that the user named. Where the agent holds the same key, the agent signs.
func (r *keyring) addNamed(ctx context.Context, path string, agentKeys []agentKey, ask passphraseFunc) error {
	k, err := readKeyFile(path)
	if public := publicOnly(path); err != nil && public != nil {
		if !holds(agentKeys, public) {
			return errElsewhere(public.path)
		}
		k, err = public, nil
	}
	if errors.Is(err, errNeedsPassphrase) {
		if _, err = k.unlock(ctx, ask); err == nil {
			k.useCertificate(k.path + "-cert.pub")
		}
	}
	if err != nil {
		return err
	}
	r.addAgent(agentKeys, k.is)
	r.addFile(ctx, k, ask)
	return nil
}

func (r *keyring) addFiles(ctx context.Context, files []*keyFile, ask passphraseFunc, which func(ssh.PublicKey) bool) {
	for _, k := range files {
		if which(k.pub) {
			r.addFile(ctx, k, ask)
		}
	}
}

func (r *keyring) addFile(ctx context.Context, k *keyFile, ask passphraseFunc) {
	if k.elsewhere {
		return
	}
	for _, c := range r.certs {
		if k.cert == nil && bytes.Equal(c.Key.Marshal(), k.pub.Marshal()) {
			k.useCertificate(c.file)
		}
	}
	lazy := &lazySigner{pub: k.pub, unlock: func() (ssh.Signer, error) { return k.unlock(ctx, ask) }}
	if k.cert != nil {
		if certified, err := ssh.NewCertSigner(k.cert, lazy); err == nil {
			r.add(k.certFile, certified, lazy)
		}
	}
	if k.note != "" {
		r.skip(k.path, errors.New(k.note))
	}
	r.add(k.path, lazy, lazy)
}

// further reads key files of which none has to be good.
func (r *keyring) further(paths []string) (found []*keyFile) {
	for _, path := range paths {
		k, err := readKeyFile(path)
		public := publicOnly(path)
		switch {
		case err != nil && public != nil:
			found = append(found, public)
		case errors.Is(err, errNeedsPassphrase):
			r.skip(path, fmt.Errorf("%w; name it with -i to use it", err))
		case err != nil:
			r.skip(path, err)
		default:
			found = append(found, k)
		}
	}
	return found
}

// search looks through the key folder: for the default keys, and where a key is wanted, for any file that holds it: *.pem, as EC2 hands
// keys out, and whatever has a *.pub file next to it that matches.
func (r *keyring) search(folder string, want ssh.PublicKey) []*keyFile {
	defaults := []string{"id_ed25519", "id_ecdsa", "id_rsa"}
	names := slices.Clone(defaults)
	if want != nil {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			r.skip(folder, err)
		}
		for _, e := range entries[:min(len(entries), maxSearched)] {
			name := e.Name()
			if base, ok := strings.CutSuffix(name, ".pub"); ok && !strings.HasSuffix(base, "-cert") {
				pub := readPublic(filepath.Join(folder, name))
				if pub == nil || !bytes.Equal(pub.Marshal(), want.Marshal()) {
					continue
				}
				name = base
			} else if filepath.Ext(name) != ".pem" {
				continue
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	var found []*keyFile
	for _, name := range names {
		path := filepath.Join(folder, name)
		k, err := readKeyFile(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case errors.Is(err, errNeedsPassphrase):
			r.skip(path, fmt.Errorf("%w; name the file to use it, or make %s.pub with: ssh-keygen -y -f %s", err, path, shellQuote(path)))
		case err != nil:
			r.skip(path, err)
		case slices.Contains(defaults, name) || bytes.Equal(k.pub.Marshal(), want.Marshal()):
			found = append(found, k)
		}
	}
	return found
}
