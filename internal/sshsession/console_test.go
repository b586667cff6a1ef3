package sshsession_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

const bootNoise = "[    0.000000] Linux version 6.1.0\r\n[  OK  ] Started \x1b[0;1;39mcloud-init\x1b[0m.\r\n"

func TestParseConsole(t *testing.T) {
	all := keySet(t, "ed25519", "ecdsa", "rsa")
	ed, ec, rs := all[0], all[1], all[2]
	other := keySet(t, "ed25519")[0]
	const crlf = "\r\n"
	tests := []struct {
		name   string
		output string
		want   []ssh.PublicKey // by fingerprint, in order of preference
		whole  []ssh.PublicKey // those that come as whole keys
		err    error
	}{
		{"AL2: ec2 prefix, both blocks, CRLF", bootNoise + printBlock("ec2: ", crlf, rs, ec, ed) + keyBlock("", crlf, ec, ed, rs), all, all, nil},
		{"AL2023: cloud-init prefix, no RSA", bootNoise + printBlock("cloud-init: ", crlf, ec, ed) + keyBlock("", crlf, ec, ed), all[:2], all[:2], nil},
		{"syslog prefix", printBlock("<14>Apr  9 22:06:30 ec2: ", crlf, ec, ed, rs), all, nil, nil},
		{"syslog prefix with host", printBlock("<14>Apr 19 22:06:30 ip-10-0-2-182 cloud-init: ", "\n", ec, ed), all[:2], nil, nil},
		{"rsyslog's RFC 3339 time", printBlock("2026-11-22T10:04:00.123456+00:00 ip-10-0-2-182 ec2: ", "\n", ec, ed), all[:2], nil, nil},
		{"kernel time and pid", printBlock("[   27.512345] cloud-init[1727]: ", crlf, ec, ed), all[:2], nil, nil},
		{"kernel time, whole keys too", keyBlock("[   27.5] cloud-init[1727]: ", crlf, ec, ed), all[:2], all[:2], nil},
		{"no prefix, LF", printBlock("", "\n", ed) + keyBlock("", "\n", ed), all[:1], all[:1], nil},
		{"blank lines between", strings.ReplaceAll(keyBlock("", crlf, ec, ed), crlf, crlf+crlf), all[:2], all[:2], nil},
		{"keys only", keyBlock("", crlf, ed, rs), []ssh.PublicKey{ed, rs}, []ssh.PublicKey{ed, rs}, nil},
		{"log lines in between", strings.Replace(keyBlock("", crlf, ec, ed), "ssh-ed25519",
			"[   28.1] audit: type=1400 SHA256:abc ssh-ed25519 AAAA\r\nec2: hello\r\nssh-ed25519", 1), all[:2], all[:2], nil},
		{"printed twice, interleaved", interleave(printBlock("ec2: ", crlf, ec, ed), printBlock("<14>Apr  9 22:06:30 ec2: ", crlf, ec, ed)), all[:2], nil, nil},
		{"same block again after a reboot", keyBlock("", crlf, ec, ed) + bootNoise + keyBlock("", crlf, ed, ec), all[:2], all[:2], nil},
		{"start cut off, then whole", printBlock("ec2: ", crlf, ec, ed)[80:] + keyBlock("", crlf, ed), all[:1], all[:1], nil},
		{"cut by a reboot, then whole", keyBlock("", crlf, other)[:60] + "\r\n" + keyBlock("", crlf, ed), all[:1], all[:1], nil},
		{"a type that only one kind names is not taken", printBlock("ec2: ", crlf, ed) + keyBlock("", crlf, ed, rs), all[:1], all[:1], nil},
		{"empty fingerprint block, whole keys", printBlock("ec2: ", crlf) + keyBlock("", crlf, ed), all[:1], all[:1], nil},
		{"DSA is passed over", strings.Replace(keyBlock("", crlf, ed), "ssh-ed25519", "ssh-dss AAAAB3NzaC1kc3MAAACB root@x\r\nssh-ed25519", 1), all[:1], all[:1], nil},

		{"nothing", bootNoise, nil, nil, sshsession.ErrNoHostKeys},
		{"empty", "", nil, nil, sshsession.ErrNoHostKeys},
		{"both blocks empty (Rocky)", printBlock("ec2: ", crlf) + keyBlock("", crlf), nil, nil, sshsession.ErrNoHostKeys},
		{"cut at the end", strings.TrimSuffix(keyBlock("", crlf, ec, ed), "-----END SSH HOST KEY KEYS-----\r\n"), nil, nil, sshsession.ErrNoHostKeys},
		{"cut at the start", strings.TrimPrefix(keyBlock("", crlf, ec, ed), "-----BEGIN SSH HOST KEY KEYS-----\r\n"), nil, nil, sshsession.ErrNoHostKeys},
		{"garbled key", strings.Replace(keyBlock("", crlf, ec, ed), "AAAAC3", "AAAA[ 28.1] kernel: C3", 1), nil, nil, sshsession.ErrNoHostKeys},
		{"key cut in its line", strings.Replace(keyBlock("", crlf, ed), authorized(ed), authorized(ed)[:40], 1), nil, nil, sshsession.ErrNoHostKeys},
		{"garbled fingerprint", strings.Replace(printBlock("ec2: ", crlf, ed), "SHA256:", "SHA256:x", 1), nil, nil, sshsession.ErrNoHostKeys},
		{"type does not fit", strings.Replace(keyBlock("", crlf, ed), "ssh-ed25519 ", "ssh-rsa ", 1), nil, nil, sshsession.ErrNoHostKeys},
		{"MD5 only", "-----BEGIN SSH HOST KEY FINGERPRINTS-----\n2048 43:51:43:a1:b5:fc:8b:b7:0a:3a:a9:b1:0f:66:73:a8 root@x (RSA)\n" +
			"-----END SSH HOST KEY FINGERPRINTS-----\n", nil, nil, sshsession.ErrNoHostKeys},
		{"markers inside other text", "user said: -----BEGIN SSH HOST KEY KEYS-----\n" + authorized(ed) + "\nsshd: -----END SSH HOST KEY KEYS-----\n", nil, nil, sshsession.ErrNoHostKeys},

		{"two blocks, another key", keyBlock("", crlf, ec, ed) + keyBlock("", crlf, ec, other), nil, nil, sshsession.ErrContradiction},
		{"two blocks, a key more", keyBlock("", crlf, ed) + keyBlock("", crlf, ed, rs), nil, nil, sshsession.ErrContradiction},
		{"two blocks, a key less", keyBlock("", crlf, ed, rs) + keyBlock("", crlf, ed), nil, nil, sshsession.ErrContradiction},
		{"two fingerprint blocks", printBlock("ec2: ", crlf, ed) + printBlock("", crlf, other), nil, nil, sshsession.ErrContradiction},
		{"the two kinds disagree", printBlock("ec2: ", crlf, ed) + keyBlock("", crlf, other), nil, nil, sshsession.ErrContradiction},
		{"the two kinds share nothing", printBlock("ec2: ", crlf, rs) + keyBlock("", crlf, ed), nil, nil, sshsession.ErrContradiction},
		{"one block with two keys of a type", keyBlock("", crlf, ed, other), nil, nil, sshsession.ErrContradiction},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sshsession.ParseConsole(tt.output)
			if !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			var prints []string
			for _, f := range got.Fingerprints {
				prints = append(prints, f.SHA256)
			}
			if diff := cmp.Diff(fingerprints(tt.want), prints); diff != "" {
				t.Errorf("fingerprints (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(fingerprints(tt.whole), fingerprints(got.Keys)); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConsoleHuge(t *testing.T) {
	if _, err := sshsession.ParseConsole(strings.Repeat("x", 2<<20)); err == nil || errors.Is(err, sshsession.ErrNoHostKeys) {
		t.Fatalf("error %v, want one about the length", err)
	}
}

func fingerprints(keys []ssh.PublicKey) []string {
	var prints []string
	for _, k := range keys {
		prints = append(prints, ssh.FingerprintSHA256(k))
	}
	return prints
}

func interleave(a, b string) string {
	var out strings.Builder
	as, bs := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for i := range as {
		out.WriteString(as[i] + bs[i])
	}
	return out.String()
}

// FuzzParseConsole lays foreign text around genuine blocks: whatever it says, no key comes out that the genuine blocks do not name.
func FuzzParseConsole(f *testing.F) {
	keys := keySet(f, "ed25519", "ecdsa")
	evil := keySet(f, "ed25519", "ecdsa", "rsa")
	blocks := printBlock("ec2: ", "\r\n", keys...) + keyBlock("", "\r\n", keys...)
	f.Add("", "")
	f.Add(keyBlock("", "\n", evil...), "")
	f.Add("-----BEGIN SSH HOST KEY KEYS-----\n"+authorized(evil[2]), "")
	f.Add("", printBlock("ec2: ", "\n", evil[2]))
	f.Add("", authorized(evil[0])+"\n-----END SSH HOST KEY KEYS-----")
	f.Add("[   27.5] cloud-init[1727]: ", "\x1b[0m\x00\xff")
	f.Fuzz(func(t *testing.T, before, after string) {
		if alone, err := sshsession.ParseConsole(before); err == nil {
			checkHostKeys(t, alone)
		}
		got, err := sshsession.ParseConsole(before + "\n" + blocks + after)
		if err != nil {
			if len(got.Fingerprints) > 0 || len(got.Keys) > 0 {
				t.Errorf("keys together with the error %v", err)
			}
			return
		}
		checkHostKeys(t, got)
		for _, print := range got.Fingerprints {
			if !slices.Contains(fingerprints(keys), print.SHA256) {
				t.Errorf("foreign key %s", print)
			}
		}
	})
}

func checkHostKeys(t *testing.T, h sshsession.HostKeys) {
	t.Helper()
	types := map[string]string{}
	for _, f := range h.Fingerprints {
		if types[f.Type] != "" {
			t.Errorf("two keys of type %s", f.Type)
		}
		types[f.Type] = f.SHA256
	}
	for _, k := range h.Keys {
		if types[k.Type()] != ssh.FingerprintSHA256(k) {
			t.Errorf("key %s without its fingerprint", authorized(k))
		}
	}
	if len(h.Fingerprints) == 0 {
		t.Error("no keys and no error")
	}
}
