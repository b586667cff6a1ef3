package sshsession

import (
	"fmt"
	"regexp"
	"slices"

	"golang.org/x/crypto/ssh"
)

// Origin says where trust in a host key comes from.
type Origin string

// The origins of a host key, from the strongest to the weakest.
const (
	// OriginConsole is the buffered console output, posted by EC2 shortly after the instance's first boot.
	OriginConsole Origin = "console"
	// OriginConsoleLatest is the console output of this moment (GetConsoleOutput with Latest): weaker, because whatever became
	// root on the instance since its boot can have written it.
	OriginConsoleLatest Origin = "console-latest"
	// OriginTrusted is a fingerprint that somebody gave beforehand.
	OriginTrusted Origin = "trusted"
	// OriginAsked is a fingerprint that somebody was shown at the first connection and agreed to.
	OriginAsked Origin = "asked"
)

func (o Origin) valid() bool {
	return o == OriginConsole || o == OriginConsoleLatest || o == OriginTrusted || o == OriginAsked
}

// phrase is the origin in a sentence: "known …".
func (o Origin) phrase() string {
	switch o {
	case OriginConsole:
		return "from the instance's console output"
	case OriginConsoleLatest:
		return "from the instance's latest console output"
	case OriginTrusted:
		return "from a fingerprint given beforehand"
	case OriginAsked:
		return "accepted by you at the first connection"
	}
	return "from the host key file"
}

// Fingerprint identifies a host key without holding it.
type Fingerprint struct {
	// Type is the key's type as SSH names it, such as "ssh-ed25519".
	Type string
	// SHA256 is the fingerprint as ssh-keygen prints it, "SHA256:" and 43 characters of base64.
	SHA256 string
}

// String is the fingerprint as a person compares it: "ED25519 SHA256:…".
func (f Fingerprint) String() string { return typeLabel(f.Type) + " " + f.SHA256 }

func fingerprintOf(key ssh.PublicKey) Fingerprint {
	return Fingerprint{Type: key.Type(), SHA256: ssh.FingerprintSHA256(key)}
}

// HostKeys are the host keys of one instance as its console output told them: one for each type, in the order in which this package
// prefers them. The zero value holds none.
type HostKeys struct {
	// Keys are the keys that were printed whole.
	Keys []ssh.PublicKey
	// Fingerprints are those of all keys, the ones in Keys included.
	Fingerprints []Fingerprint
}

// keyTypes are the host key types that are accepted, best first: Ed25519, then ECDSA, then RSA. Amazon Linux 2023 generates the first
// two only, Amazon Linux 2 all three. DSA is left out everywhere.
func keyTypes() []string {
	return []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA}
}

func typeLabel(keyType string) string {
	switch keyType {
	case ssh.KeyAlgoED25519:
		return "ED25519"
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return "ECDSA"
	case ssh.KeyAlgoRSA:
		return "RSA"
	}
	return printable(keyType)
}

// signatureAlgorithms are the algorithms with which a key of this type may sign, best first. RSA keys sign with SHA-2 only: "ssh-rsa"
// as an algorithm means SHA-1 (RFC 8332), which Amazon Linux 2023 disables and nobody should ask for.
func signatureAlgorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// hostKeyAlgorithms are the algorithms to offer a server of which these keys are expected; all good ones where none is. Offering
// others would let the server show a key that we do not know although it has the one that we know, and that looks like an attack.
func hostKeyAlgorithms(expected []Fingerprint) []string {
	var algorithms []string
	for _, t := range keyTypes() {
		if len(expected) == 0 || slices.ContainsFunc(expected, func(f Fingerprint) bool { return f.Type == t }) {
			algorithms = append(algorithms, signatureAlgorithms(t)...)
		}
	}
	return algorithms
}

var instanceID = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)

func checkInstance(id string) error {
	if !instanceID.MatchString(id) {
		return fmt.Errorf("%q is not an EC2 instance id", printable(id))
	}
	return nil
}
