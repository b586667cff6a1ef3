package sshsession

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"
)

var (
	// ErrNoHostKeys says that a console output holds no complete block of host keys: printing is turned off in this image, has not
	// happened yet, or has left the 64 KB that EC2 keeps.
	ErrNoHostKeys = errors.New("the console output holds no host keys")
	// ErrContradiction says that a console output names different keys for one instance. Nothing in it can be trusted then.
	ErrContradiction = errors.New("the console output contradicts itself about the host keys")
)

// maxConsole bounds what ParseConsole looks at, in bytes. EC2 stores the most recent 64 KB.
const maxConsole = 1 << 20

// What cloud-init writes (tools/write-ssh-key-fingerprints): a block of fingerprints through logger, each line with syslog's or
// cloud-init's prefix, then a block of whole keys straight to the console, without one.
var (
	consolePrefix = regexp.MustCompile(`^(?:<\d{1,3}>)?` +
		`(?:(?:(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.]{8,15}(?:Z|[+-]\d\d:?\d\d)) (?:[\w.-]{1,255} )?)?` +
		`(?:\[ *\d{1,9}\.\d{1,9}\] )?(?:ec2|cloud-init)(?:\[\d{1,10}\])?:(?: |$)` +
		`|\[ *\d{1,9}\.\d{1,9}\] )`)
	consoleEscape   = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	consoleMarker   = regexp.MustCompile(`^-----(BEGIN|END) SSH HOST KEY (FINGERPRINTS|KEYS)-----$`)
	fingerprintLine = regexp.MustCompile(`^(\d{2,5}) (SHA256:\S*)(?: .*)? \(([A-Z0-9-]+)\)$`)
	fingerprintHead = regexp.MustCompile(`^\d+ SHA256:`)
	keyLine         = regexp.MustCompile(`^(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa)(?:$|\s+(\S*))`)
)

// hostKey is one line of a block: the fingerprint, and the key where the block holds whole keys.
type hostKey struct {
	print Fingerprint
	key   ssh.PublicKey
}

// block is one block while it is read, and afterwards.
type block struct {
	open        bool
	damaged     bool
	contradicts bool               // names two keys of one type
	keys        map[string]hostKey // by key type
}

// ParseConsole finds the host keys that cloud-init printed in an EC2 console output (already decoded from base64). It knows the
// fingerprint block and the key block, each with any of the prefixes that cloud-init's versions and syslog put before a line, LF or
// CRLF, with other log lines in between.
//
// Only complete blocks count, and all of them must agree: blocks of one kind on every key, the two kinds on every type that both name
// (a type that only one of them names is not taken). Otherwise the error is ErrContradiction. A block that is empty, cut or damaged
// does not count, and without any the error is ErrNoHostKeys.
func ParseConsole(output string) (HostKeys, error) {
	if len(output) > maxConsole {
		return HostKeys{}, fmt.Errorf("the console output is longer than %d bytes, EC2 keeps 64 KB", maxConsole)
	}
	agreed := map[string]map[string]hostKey{}
	current := map[string]*block{"FINGERPRINTS": {}, "KEYS": {}}
	flawed := false
	for line := range strings.FieldsFuncSeq(output, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = consoleEscape.ReplaceAllString(line, "")
		line = strings.TrimSpace(line[len(consolePrefix.FindString(line)):])
		marker := consoleMarker.FindStringSubmatch(line)
		switch {
		case marker == nil:
			current["FINGERPRINTS"].fingerprint(line)
			current["KEYS"].key(line)
		case marker[1] == "BEGIN":
			// A block that is still open was cut by a restart, or is a second copy of the same lines by another way.
			*current[marker[2]] = block{open: true, keys: map[string]hostKey{}}
		case current[marker[2]].open:
			b := current[marker[2]]
			b.open = false
			if b.damaged || len(b.keys) == 0 {
				flawed = true
				continue
			}
			if b.contradicts || !sameKeys(agreed[marker[2]], b.keys) {
				return HostKeys{}, ErrContradiction
			}
			agreed[marker[2]] = b.keys
		default:
			flawed = true // an end without its begin: the start has left the 64 KB
		}
	}
	flawed = flawed || current["FINGERPRINTS"].open || current["KEYS"].open
	return mergeKinds(agreed["FINGERPRINTS"], agreed["KEYS"], flawed)
}

func (b *block) add(k hostKey) {
	if have, ok := b.keys[k.print.Type]; ok && have.print != k.print {
		b.contradicts = true
	}
	b.keys[k.print.Type] = k
}

func (b *block) fingerprint(line string) {
	if !b.open {
		return
	}
	m := fingerprintLine.FindStringSubmatch(line)
	if m == nil {
		b.damaged = b.damaged || fingerprintHead.MatchString(line)
		return
	}
	sum, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimPrefix(m[2], "SHA256:"))
	if err != nil || len(sum) != 32 {
		b.damaged = true
		return
	}
	keyType := ""
	switch m[3] {
	case "ED25519":
		keyType = ssh.KeyAlgoED25519
	case "RSA":
		keyType = ssh.KeyAlgoRSA
	case "ECDSA":
		keyType = "ecdsa-sha2-nistp" + m[1]
	}
	if len(hostKeyAlgorithms([]Fingerprint{{Type: keyType}})) > 0 {
		b.add(hostKey{print: Fingerprint{Type: keyType, SHA256: m[2]}})
	}
}

func (b *block) key(line string) {
	if !b.open {
		return
	}
	m := keyLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(m[2])
	if err != nil {
		b.damaged = true
		return
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil || key.Type() != m[1] {
		b.damaged = true
		return
	}
	b.add(hostKey{print: fingerprintOf(key), key: key})
}

// sameKeys says whether two blocks of one kind name the same keys; the first block has nothing to agree with.
func sameKeys(before, now map[string]hostKey) bool {
	if before == nil {
		return true
	}
	for t, k := range now {
		if before[t].print != k.print {
			return false
		}
	}
	return len(before) == len(now)
}

// mergeKinds lays the fingerprint block and the key block over each other.
func mergeKinds(prints, keys map[string]hostKey, flawed bool) (HostKeys, error) {
	var found HostKeys
	if prints == nil && keys == nil {
		if flawed {
			return found, fmt.Errorf("%w: a block of host keys is there, but empty, cut or damaged", ErrNoHostKeys)
		}
		return found, ErrNoHostKeys
	}
	for _, t := range keyTypes() {
		p, inPrints := prints[t]
		k, inKeys := keys[t]
		if inPrints && inKeys && p.print != k.print {
			return HostKeys{}, ErrContradiction
		}
		if prints != nil && !inPrints || keys != nil && !inKeys {
			continue
		}
		if inKeys {
			p = k
			found.Keys = append(found.Keys, k.key)
		}
		found.Fingerprints = append(found.Fingerprints, p.print)
	}
	if len(found.Fingerprints) == 0 {
		return HostKeys{}, fmt.Errorf("%w: its two blocks have no key in common", ErrContradiction)
	}
	return found, nil
}
