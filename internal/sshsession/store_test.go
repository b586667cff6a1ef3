package sshsession_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

const (
	instance = "i-0123456789abcdef0"
	another  = "i-0fedcba987654321f"
)

func openStore(t *testing.T) *sshsession.Store {
	t.Helper()
	s, err := sshsession.OpenStore(filepath.Join(t.TempDir(), "state", "known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func storedKeys(t *testing.T, s *sshsession.Store, id string) []string {
	t.Helper()
	pins, err := s.Keys(id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pins {
		got = append(got, string(p.Origin)+" "+p.Fingerprint().SHA256)
	}
	return got
}

func mustAdd(t *testing.T, s *sshsession.Store, id string, origin sshsession.Origin, keys ...ssh.PublicKey) {
	t.Helper()
	if err := s.Add(id, origin, keys...); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	s := openStore(t)
	keys := keySet(t, "rsa", "ecdsa", "ed25519")
	mustAdd(t, s, instance, sshsession.OriginConsole, keys...)
	mustAdd(t, s, another, sshsession.OriginAsked, keys[0])
	mustAdd(t, s, instance, sshsession.OriginAsked, keys[1]) // stored already, keeps its origin

	reopened, err := sshsession.OpenStore(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"console " + ssh.FingerprintSHA256(keys[2]), "console " + ssh.FingerprintSHA256(keys[1]), "console " + ssh.FingerprintSHA256(keys[0])}
	if diff := cmp.Diff(want, storedKeys(t, reopened, instance)); diff != "" {
		t.Errorf("keys, best first (-want +got):\n%s", diff)
	}
	pins, _ := reopened.Keys(instance)
	if pins[0].Added.IsZero() {
		t.Error("the time was not kept")
	}
	if runtime.GOOS != "windows" {
		info, err := os.Stat(s.Path())
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, error %v; want 0600", info.Mode(), err)
		}
	}
	ids, err := s.Instances()
	if diff := cmp.Diff([]string{instance, another}, ids); diff != "" || err != nil {
		t.Errorf("instances (-want +got):\n%s%v", diff, err)
	}

	newer := keySet(t, "ed25519")[0]
	if err := s.Add(instance, sshsession.OriginAsked, newer); !errors.Is(err, sshsession.ErrPinned) {
		t.Errorf("another key of a stored type: %v, want ErrPinned", err)
	}
	if err := s.Forget(instance); err != nil {
		t.Fatal(err)
	}
	if got := storedKeys(t, s, instance); got != nil {
		t.Errorf("still there after Forget: %v", got)
	}
	mustAdd(t, s, instance, sshsession.OriginAsked, newer)
	if got := storedKeys(t, s, another); len(got) != 1 {
		t.Errorf("another instance's keys: %v", got)
	}
}

func TestStoreRefuses(t *testing.T) {
	s := openStore(t)
	key := keySet(t, "ed25519")[0]
	for _, id := range []string{"", "i-", "i-123", "i-0123456789ABCDEF0", "i-0123456789abcdef01", "*", "i-0123456789abcdef0\ni-0fedcba987654321f", "10.0.0.1", "mi-0123456789abcdef0"} {
		if s.Add(id, sshsession.OriginConsole, key) == nil || s.Forget(id) == nil {
			t.Errorf("instance id %q was taken", id)
		}
		if _, err := s.Keys(id); err == nil {
			t.Errorf("instance id %q was looked up", id)
		}
	}
	if s.Add(instance, "rumour", key) == nil {
		t.Error("an unknown origin was taken")
	}
	if _, err := os.Stat(s.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

// TestStoreOthersRead has two independent readers of known_hosts files find the same keys.
func TestStoreOthersRead(t *testing.T) {
	s := openStore(t)
	keys := keySet(t, "ed25519", "rsa")
	mustAdd(t, s, instance, sshsession.OriginConsoleLatest, keys...)
	mustAdd(t, s, another, sshsession.OriginAsked, keySet(t, "ecdsa")...)

	db, err := knownhosts.NewDB(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	if diff := cmp.Diff(want, db.HostKeyAlgorithms(instance+":22")); diff != "" {
		t.Errorf("skeema/knownhosts (-want +got):\n%s", diff)
	}
	for _, k := range keys {
		if err := db.HostKeyCallback()(instance+":22", noAddr{}, k); err != nil {
			t.Errorf("skeema/knownhosts: %v", err)
		}
	}

	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		needPeer(t, "ssh-keygen")
	}
	out, err := exec.Command(keygen, "-l", "-F", instance, "-f", s.Path()).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	for _, k := range keys {
		if !strings.Contains(string(out), ssh.FingerprintSHA256(k)) {
			t.Errorf("ssh-keygen does not find %s in\n%s", ssh.FingerprintSHA256(k), out)
		}
	}
}

func TestStoreConcurrentWriters(t *testing.T) {
	s := openStore(t)
	key := keySet(t, "ed25519")[0]
	var wg sync.WaitGroup
	const writers, each = 8, 5
	for w := range writers {
		wg.Go(func() {
			own, err := sshsession.OpenStore(s.Path()) // as another process has it
			if err != nil {
				t.Error(err)
				return
			}
			for i := range each {
				id := fmt.Sprintf("i-%08x", w*each+i)
				if err := own.Add(id, sshsession.OriginConsole, key); err != nil {
					t.Error(err)
				}
				if pins, err := s.Keys(id); err != nil || len(pins) != 1 {
					t.Errorf("%s: %d keys, %v", id, len(pins), err)
				}
			}
		})
	}
	wg.Wait()
	ids, err := s.Instances()
	if err != nil || len(ids) != writers*each {
		t.Errorf("%d instances, want %d; %v", len(ids), writers*each, err)
	}
	entries, err := os.ReadDir(filepath.Dir(s.Path()))
	if err != nil || len(entries) != 2 { // the file and its lock
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestStoreBrokenLines(t *testing.T) {
	key := keySet(t, "ed25519")[0]
	good := another + " " + authorized(key) + " asked 2026-11-22T10:04:00Z\n"
	byHand := another + " " + authorized(key) + " my own\n"
	for _, line := range []string{
		instance + " ssh-ed25519 AAAA\n", instance + "\n", instance + " ssh-rsa " + strings.Fields(authorized(key))[1] + "\n",
		"@revoked " + instance + " " + authorized(key) + "\n", instance + " ssh-ed25519\x00\x1b[2J\n",
	} {
		s := openStore(t)
		content := "# a comment\n\n" + line + good + "garbage\x1b[2J\n* " + authorized(key) + "\n"
		if err := os.WriteFile(s.Path(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		// A pin that cannot be read must not look like a first connection.
		if _, err := s.Keys(instance); err == nil || !strings.Contains(err.Error(), s.Path()+":3") {
			t.Errorf("%q: error %v, want one that names line 3", line, err)
		}
		if err := s.Add(instance, sshsession.OriginConsole, key); err == nil {
			t.Errorf("%q: a key was added beside it", line)
		}
		if got := storedKeys(t, s, another); len(got) != 1 {
			t.Errorf("%q: the good line gave %v", line, got)
		}
		problems, err := s.Problems()
		if err != nil || len(problems) != 3 || strings.ContainsRune(strings.Join(problems, ""), '\x1b') {
			t.Errorf("%q: problems %q, %v", line, problems, err)
		}
		if err := s.Forget(instance); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(s.Path())
		if diff := cmp.Diff(strings.Replace(content, line, "", 1), string(after)); diff != "" || err != nil {
			t.Errorf("%q: the other lines changed (-want +got):\n%s%v", line, diff, err)
		}
	}
	s := openStore(t)
	if err := os.WriteFile(s.Path(), []byte(byHand), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := storedKeys(t, s, another); !slices.Equal(got, []string{" " + ssh.FingerprintSHA256(key)}) {
		t.Errorf("line written by hand: %q", got)
	}
}

func TestStoreAccess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes say nothing on Windows")
	}
	key := keySet(t, "ed25519")[0]
	tests := []struct {
		name   string
		change func(path string) error
		hint   string
	}{
		{"group may write", func(p string) error { return os.Chmod(p, 0o620) }, "chmod 600 "},
		{"everyone may write", func(p string) error { return os.Chmod(p, 0o602) }, "chmod 600 "},
		{"folder open to everyone", func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }, "chmod o-w "},
		{"a folder", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "not a regular file"},
		{"huge", func(p string) error { return os.Truncate(p, 5<<20) }, "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t)
			mustAdd(t, s, instance, sshsession.OriginConsole, key)
			if err := tt.change(s.Path()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Keys(instance); err == nil || !strings.Contains(err.Error(), tt.hint) {
				t.Errorf("Keys: error %v, want one with %q", err, tt.hint)
			}
			if err := s.Add(another, sshsession.OriginConsole, key); err == nil {
				t.Error("Add wrote it")
			}
		})
	}
}

// FuzzStore reads foreign files: no panic, nothing invented, and what is said about another instance survives a change.
func FuzzStore(f *testing.F) {
	key := keySet(f, "ed25519")[0]
	f.Add(another + " " + authorized(key) + " console 2026-11-22T10:04:00Z\n")
	f.Add("@cert-authority * " + authorized(key) + "\n|1|abc|def " + authorized(key))
	f.Add(instance + " ssh-ed25519 \xff\x00\r\n\r\n#")
	f.Fuzz(func(t *testing.T, content string) {
		before, err := sshsession.StoredIn(content, another)
		for _, p := range before {
			if !strings.Contains(content, strings.Fields(authorized(p.Key))[0]) {
				t.Errorf("invented %s", authorized(p.Key))
			}
		}
		content = sshsession.StoreText(content, instance, key)
		if mine, err := sshsession.StoredIn(content, instance); err != nil || len(mine) != 1 || mine[0].Fingerprint().SHA256 != ssh.FingerprintSHA256(key) {
			t.Errorf("the new key is read as %v, %v", mine, err)
		}
		after, err2 := sshsession.StoredIn(content, another)
		if (err == nil) != (err2 == nil) || len(before) != len(after) {
			t.Errorf("another instance changed: %v %v, before %v %v", after, err2, before, err)
		}
	})
}

type noAddr struct{}

func (noAddr) Network() string { return "tcp" }
func (noAddr) String() string  { return "192.0.2.1:22" }

// needPeer skips a test whose peer is not installed, and fails it in CI, which has to install it.
func needPeer(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}

// Years of clusters do not fill the file until nobody gets in any more: the oldest go, and what somebody wrote by hand stays.
func TestStoreOfYears(t *testing.T) {
	s := openStore(t)
	key := keySet(t, "rsa")[0]
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	id := func(n int) string { return fmt.Sprintf("i-%017x", n) }
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n# a remark\n", id(0), line)
	n := 1
	for begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC); b.Len() < 4<<20-1000; n++ { // almost as much as is read
		fmt.Fprintf(&b, "%s %s console %s\n", id(n), line, begin.Add(time.Duration(n)*time.Hour).Format(time.RFC3339))
	}
	if err := os.WriteFile(s.Path(), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	const vouched = "i-0123456789abcdef0" // older than all, and verified by a person
	b.Reset()
	fmt.Fprintf(&b, "%s %s trusted 2019-01-01T00:00:00Z\n", vouched, line)
	if f, err := os.OpenFile(s.Path(), os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		t.Fatal(err)
	} else if _, err = f.WriteString(b.String()); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, id(n), sshsession.OriginAsked, key)
	if len(storedKeys(t, s, vouched)) != 1 {
		t.Error("a key that a person has verified goes before those of the console")
	}
	data, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 3<<20 || len(data) < 3<<20-1000 {
		t.Errorf("the file has %d bytes", len(data))
	}
	if !strings.Contains(string(data), "\n# a remark\n") {
		t.Error("the remark has gone")
	}
	for i, want := range map[int]int{0: 1, 1: 0, 2: 0, n - 1: 1, n: 1} {
		if got := len(storedKeys(t, s, id(i))); got != want {
			t.Errorf("instance %d of %d has %d keys, want %d", i, n, got, want)
		}
	}
	ids, err := s.Instances()
	if err != nil || ids[1] != id(n-len(ids)+3) { // id(0), the latest without a gap
		t.Errorf("%d instances from %s on, %v", len(ids), ids[1], err)
	}
}
