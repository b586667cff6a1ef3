package sshsession_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// refuse dials a server that takes no key, and returns the error and the fingerprints that were offered.
func refuse(t *testing.T, l sshsession.Login, change ...func(*server)) (*sshsession.AuthError, []string) {
	t.Helper()
	target, srv := newTarget(t, "ed25519")
	srv.accept, srv.maxTries = nil, 10
	for _, c := range change {
		c(srv)
	}
	target.Addr, target.Login = srv.listen(), l
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
	_, err := sshsession.Dial(t.Context(), target)
	e, ok := errors.AsType[*sshsession.AuthError](err)
	if !ok {
		t.Fatalf("error %v, want an AuthError", err)
	}
	srv.close()
	return e, srv.offered
}

func TestOrderOfKeys(t *testing.T) {
	folder := t.TempDir()
	names := map[string]string{} // fingerprint → name
	wanted := newKey(t, "rsa")
	want := publicKey(t, wanted)
	file := func(name string, data []byte, pub ssh.PublicKey) {
		writeKey(t, folder, name, data)
		names[ssh.FingerprintSHA256(pub)] = name
	}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "unrelated.pem"} {
		k := newKey(t, "ed25519")
		file(name, openSSH(t, k), publicKey(t, k))
	}
	file("cluster.pem", traditional(t, wanted, ""), want)
	inAgent := newKey(t, "ecdsa")
	names[ssh.FingerprintSHA256(publicKey(t, inAgent))] = "agent's other"
	named := newKey(t, "ed25519")
	namedPath := writeKey(t, t.TempDir(), "named", openSSH(t, named))
	names[ssh.FingerprintSHA256(publicKey(t, named))] = "named"
	other := agent.AddedKey{PrivateKey: inAgent, Comment: "other"}
	further := newKey(t, "ed25519")
	furtherPath := writeKey(t, t.TempDir(), "further", openSSH(t, further))
	names[ssh.FingerprintSHA256(publicKey(t, further))] = "further"
	files := []string{filepath.Join(folder, "missing"), furtherPath}
	public := t.TempDir() // whose private keys the agent has alone
	furtherPublic := writeKey(t, public, "further.pub", []byte(authorized(publicKey(t, further))+" me"))
	namedPublic := writeKey(t, public, "named.pub", []byte(authorized(publicKey(t, named))))
	both := []agent.AddedKey{other, {PrivateKey: further, Comment: "further"}, {PrivateKey: named, Comment: "named"}}

	tests := []struct {
		name  string
		login sshsession.Login
		keys  []agent.AddedKey
		want  []string
	}{
		{"the cluster's key first", sshsession.Login{Folder: folder, WantPublicKey: authorized(want) + " my-key-pair"}, []agent.AddedKey{other},
			[]string{"cluster.pem", "agent's other", "id_ed25519", "id_ecdsa"}},
		{"key pair not known", sshsession.Login{Folder: folder}, []agent.AddedKey{other}, []string{"agent's other", "id_ed25519", "id_ecdsa"}},
		{"no agent", sshsession.Login{Folder: folder}, nil, []string{"id_ed25519", "id_ecdsa"}},
		{"a named file", sshsession.Login{Folder: folder, KeyFiles: []string{namedPath}, WantPublicKey: authorized(want)}, []agent.AddedKey{other},
			[]string{"named", "agent's other"}},
		{"the agent holds the cluster's key", sshsession.Login{WantPublicKey: authorized(want)},
			[]agent.AddedKey{other, {PrivateKey: wanted, Comment: "emr"}}, []string{"cluster.pem", "agent's other"}},
		{"further files", sshsession.Login{Folder: folder, Files: files, WantPublicKey: authorized(want)}, []agent.AddedKey{other},
			[]string{"cluster.pem", "further", "agent's other", "id_ed25519", "id_ecdsa"}},
		{"further files only", sshsession.Login{Folder: folder, Files: files, Only: true, WantPublicKey: authorized(want)}, []agent.AddedKey{other},
			[]string{"cluster.pem", "further"}},
		{"only, and no file is named", sshsession.Login{Folder: folder, Only: true}, []agent.AddedKey{other}, []string{"id_ed25519", "id_ecdsa"}},
		{"only, and the agent holds the file's key", sshsession.Login{Files: files, Only: true}, []agent.AddedKey{other, {PrivateKey: further, Comment: "further"}},
			[]string{"further"}},
		{"a public file, only", sshsession.Login{Files: []string{furtherPublic}, Only: true}, both, []string{"further"}},
		{"a name with a public file alone, only", sshsession.Login{Files: []string{filepath.Join(public, "further")}, Only: true}, both, []string{"further"}},
		{"a public file whose key nobody has", sshsession.Login{Files: []string{furtherPublic, furtherPath}, Only: true}, []agent.AddedKey{other}, []string{"further"}},
		{"a named public file", sshsession.Login{KeyFiles: []string{namedPublic}}, both, []string{"named", "agent's other", "further"}},
		{"the further file is the wanted one", sshsession.Login{Folder: folder, Files: []string{furtherPath, filepath.Join(folder, "cluster.pem")}, WantPublicKey: authorized(want)}, nil,
			[]string{"cluster.pem", "further", "id_ed25519", "id_ecdsa"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.login.User = "hadoop"
			if tt.keys != nil {
				tt.login.Agent = startAgent(t, tt.keys...)
			}
			e, offered := refuse(t, tt.login)
			var got, tried []string
			for _, print := range offered {
				got = append(got, names[print])
			}
			for _, k := range e.Tried {
				tried = append(tried, names[k.Key.SHA256])
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("offered (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got, tried); diff != "" {
				t.Errorf("told as tried (-offered +told):\n%s", diff)
			}
		})
	}
}

func TestKeyFoundByPublicFile(t *testing.T) {
	folder := t.TempDir()
	key := newKey(t, "ed25519")
	path := writeKey(t, folder, "work-emr", openSSH(t, key))
	writeKey(t, folder, "work-emr.pub", []byte(authorized(publicKey(t, key))+" me@laptop\n"))
	writeKey(t, folder, "known_hosts", []byte("garbage"))
	e, _ := refuse(t, sshsession.Login{User: "hadoop", Folder: folder, WantPublicKey: authorized(publicKey(t, key))})
	if len(e.Tried) != 1 || e.Tried[0].Source != path {
		t.Errorf("tried %v", e.Tried)
	}
}

func TestWantedFile(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	key := newKey(t, "rsa")
	want := authorized(publicKey(t, key)) + " team"
	writeKey(t, folder, "id_ed25519", openSSH(t, newKey(t, "ed25519")))
	l := sshsession.Login{Folder: folder, WantPublicKey: want}
	if got := l.WantedFile(); got != "" {
		t.Errorf("found %s", got)
	}
	l.Files = []string{writeKey(t, elsewhere, "team", traditional(t, key, ""))}
	if got := l.WantedFile(); got != l.Files[0] {
		t.Errorf("found %q", got)
	}
	l.Files = nil
	path := writeKey(t, folder, "team.pem", traditional(t, key, ""))
	if got := l.WantedFile(); got != path {
		t.Errorf("found %q", got)
	}
	for _, bad := range []string{"", "garbage"} {
		l.WantPublicKey = bad
		if got := l.WantedFile(); got != "" {
			t.Errorf("%q: found %q", bad, got)
		}
	}
}

func TestAtMostFiveKeys(t *testing.T) {
	var keys []agent.AddedKey
	for range 8 {
		keys = append(keys, agent.AddedKey{PrivateKey: newKey(t, "ed25519"), Comment: "x\x1b[2J"})
	}
	e, offered := refuse(t, sshsession.Login{User: "hadoop", Agent: startAgent(t, keys...)})
	if len(offered) != 5 || len(e.Tried) != 5 || len(e.Skipped) != 3 {
		t.Errorf("%d offered, %d tried, %d skipped; want 5, 5, 3", len(offered), len(e.Tried), len(e.Skipped))
	}
	if strings.ContainsRune(e.Error(), '\x1b') {
		t.Errorf("an agent's comment reaches the terminal: %q", e.Error())
	}
}

// certify has an authority sign a key.
func certify(t *testing.T, key ssh.PublicKey, authority ssh.Signer, change func(*ssh.Certificate)) *ssh.Certificate {
	t.Helper()
	now := time.Now()
	cert := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{"hadoop"},
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix())}
	if change != nil {
		change(cert)
	}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificates(t *testing.T) {
	authority := newSigner(t, "ed25519")
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		key := newKey(t, kind)
		cert := certify(t, publicKey(t, key), authority, nil)
		dial := func(t *testing.T, l sshsession.Login) *sshsession.Client {
			target, srv := newTarget(t, "ed25519")
			srv.accept = []ssh.PublicKey{authority.PublicKey()} // the plain key would not do
			target.Addr, target.Login = srv.listen(), l
			target.Login.User = "hadoop"
			mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
			return mustDial(t, target)
		}
		t.Run("file "+kind, func(t *testing.T) {
			path := writeKey(t, t.TempDir(), "id", openSSH(t, key))
			writeKey(t, filepath.Dir(path), "id-cert.pub", ssh.MarshalAuthorizedKey(cert))
			if got := dial(t, sshsession.Login{KeyFiles: []string{path}}).LoginKey().Source; got != path+"-cert.pub" {
				t.Errorf("logged in with %s", got)
			}
		})
		t.Run("named certificate "+kind, func(t *testing.T) {
			named := writeKey(t, t.TempDir(), "elsewhere.pub", ssh.MarshalAuthorizedKey(cert))
			l := sshsession.Login{Certificates: []string{filepath.Join(t.TempDir(), "none"), named}}
			inAgent := l
			inAgent.Agent = startAgent(t, agent.AddedKey{PrivateKey: key, Comment: "plain"})
			if got := dial(t, inAgent).LoginKey().Source; got != named+" (agent: plain)" {
				t.Errorf("logged in with %s", got)
			}
			l.Files = []string{writeKey(t, t.TempDir(), "id", openSSH(t, key))}
			if got := dial(t, l).LoginKey().Source; got != named {
				t.Errorf("logged in with %s", got)
			}
		})
		t.Run("agent "+kind, func(t *testing.T) {
			others := []agent.AddedKey{{PrivateKey: newKey(t, "ed25519")}, {PrivateKey: key, Certificate: cert, Comment: "certified"}}
			c := dial(t, sshsession.Login{Agent: startAgent(t, others...), WantPublicKey: authorized(publicKey(t, key))})
			if got := c.LoginKey().Source; got != "agent: certified" {
				t.Errorf("logged in with %s", got)
			}
		})
	}
	key := newKey(t, "ed25519")
	for name, change := range map[string]func(*ssh.Certificate){
		"has expired":               func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Add(-time.Minute).Unix()) },
		"is not valid yet":          func(c *ssh.Certificate) { c.ValidAfter = uint64(time.Now().Add(time.Minute).Unix()) },
		"is not a user certificate": func(c *ssh.Certificate) { c.CertType = ssh.HostCert },
		"belongs to another key":    func(c *ssh.Certificate) { c.Key = newSigner(t, "ed25519").PublicKey() },
	} {
		t.Run(name, func(t *testing.T) {
			path := writeKey(t, t.TempDir(), "id", openSSH(t, key))
			writeKey(t, filepath.Dir(path), "id-cert.pub", ssh.MarshalAuthorizedKey(certify(t, publicKey(t, key), authority, change)))
			e, offered := refuse(t, sshsession.Login{User: "hadoop", KeyFiles: []string{path}})
			if !strings.Contains(e.Error(), name) || !slices.Equal(offered, []string{ssh.FingerprintSHA256(publicKey(t, key))}) {
				t.Errorf("offered %v, error %v", offered, e)
			}
		})
	}
}

func TestAuthError(t *testing.T) {
	t.Run("no key at all", func(t *testing.T) {
		e, _ := refuse(t, sshsession.Login{User: "hadoop", Folder: filepath.Join(t.TempDir(), "none")})
		if !strings.Contains(e.Error(), "no login key was found") {
			t.Errorf("error %v", e)
		}
	})
	t.Run("the key of the cluster is open to others", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("file modes say nothing on Windows")
		}
		folder := t.TempDir()
		key := newKey(t, "ed25519")
		path := writeKey(t, folder, "cluster.pem", openSSH(t, key))
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		e, offered := refuse(t, sshsession.Login{User: "hadoop", Folder: folder, WantPublicKey: authorized(publicKey(t, key))})
		if len(offered) != 0 || !strings.Contains(e.Error(), "chmod 600 "+path) {
			t.Errorf("%d offered, error %v", len(offered), e)
		}
	})
	t.Run("the server loses patience", func(t *testing.T) {
		agentPath := startAgent(t, agent.AddedKey{PrivateKey: newKey(t, "ed25519")}, agent.AddedKey{PrivateKey: newKey(t, "ed25519")},
			agent.AddedKey{PrivateKey: newKey(t, "ed25519")})
		e, _ := refuse(t, sshsession.Login{User: "hadoop", Agent: agentPath}, func(s *server) { s.maxTries = 2 })
		if len(e.Tried) != 2 || !strings.Contains(e.Error(), "too many authentication failures") {
			t.Errorf("error %v", e)
		}
	})
	t.Run("passwords only", func(t *testing.T) {
		l, _ := login(t, t.TempDir())
		e, offered := refuse(t, l, func(s *server) { s.password = true })
		if len(offered) != 0 || len(e.Tried) != 0 || e.Partial || !slices.Equal(e.Methods, []string{"password"}) {
			t.Errorf("%d offered, error %v", len(offered), e)
		}
	})
	t.Run("a second proof", func(t *testing.T) {
		l, pub := login(t, t.TempDir())
		e, _ := refuse(t, l, func(s *server) { s.accept, s.second = []ssh.PublicKey{pub}, true })
		if !e.Partial || !slices.Equal(e.Methods, []string{"password"}) || !strings.Contains(e.Error(), "also wants password") {
			t.Errorf("error %v", e)
		}
	})
	t.Run("no login asked for", func(t *testing.T) {
		target, srv := newTarget(t, "ed25519")
		srv.noAuth = true
		target.Addr = srv.listen()
		mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
		if k := mustDial(t, target).LoginKey(); k != (sshsession.OfferedKey{}) {
			t.Errorf("login key %v", k)
		}
	})
	for _, user := range []string{"", "a b", "root\n", "x\x00"} {
		target, _ := newTarget(t)
		target.Dial = noDial(t)
		target.Login.User = user
		if _, err := sshsession.Dial(t.Context(), target); err == nil {
			t.Errorf("user %q was taken", user)
		}
	}
	target, _ := newTarget(t)
	target.Dial = noDial(t)
	target.Login.WantPublicKey = "ssh-rsa \x1b[2J"
	if _, err := sshsession.Dial(t.Context(), target); err == nil || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("broken key pair: error %v", err)
	}
}
