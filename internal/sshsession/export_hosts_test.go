package sshsession_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestExport(t *testing.T) {
	store, keys := openStore(t), keySet(t, "ed25519", "ecdsa", "ed25519")
	file := filepath.Join(t.TempDir(), "ssh", "j-2axxxxxxgaplf.known_hosts")
	const alias, second = "j-2axxxxxxgaplf", "i-0123456789abcdef1"
	if id, err := sshsession.Exported(file); id != "" || err != nil {
		t.Errorf("%q, error %v", id, err)
	}
	if err := store.Export(file, instance, alias); !errors.Is(err, sshsession.ErrUnverified) {
		t.Errorf("nothing is stored, and the error is %v", err)
	}
	mustAdd(t, store, instance, sshsession.OriginConsole, keys[:2]...)
	mustAdd(t, store, second, sshsession.OriginConsole, keys[2])
	export := func(id string) string {
		t.Helper()
		if err := store.Export(file, id, alias); err != nil {
			t.Fatal(err)
		}
		if got, err := sshsession.Exported(file); got != id || err != nil {
			t.Errorf("it is about %q, error %v", got, err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := export(instance)
	if strings.Count(first, alias+" ") != 2 || !strings.Contains(first, authorized(keys[0])) {
		t.Errorf("exported\n%s", first)
	}
	before, _ := os.Stat(file)
	export(instance)
	if after, _ := os.Stat(file); !os.SameFile(before, after) {
		t.Error("the file was written although nothing had changed")
	}
	// The node was replaced: only the new one's keys count.
	if text := export(second); strings.Contains(text, authorized(keys[0])) || !strings.Contains(text, authorized(keys[2])) {
		t.Errorf("exported\n%s", text)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
		export(second)
		if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
			t.Errorf("others may write it: %v", info.Mode())
		}
	}
	for _, bad := range []string{"", "*", "J-2AXXXXXXGAPLF", "a b", "a\nb", "-x", "a,b", "@revoked", "!a", "|1|"} {
		if _, err := store.KnownHosts(instance, bad); err == nil {
			t.Errorf("%q stands for a host", bad)
		}
	}
}

func FuzzExported(f *testing.F) {
	f.Add("# emr-accessd writes this file. Host keys of i-0123456789abcdef0\nx ssh-ed25519 AAAA\n")
	f.Add("# emr-accessd writes this file. Host keys of i-0123456789abcdef0; id\n")
	f.Add("# emr-accessd writes this file. Host keys of \n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		id := sshsession.ExportedInstance(text)
		if id != "" && (!strings.HasPrefix(id, "i-") || strings.Trim(id[2:], "0123456789abcdef") != "" || len(id) > 19) {
			t.Errorf("%q is about %q", text, id)
		}
	})
}
