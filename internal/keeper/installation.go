package keeper

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os/user"
	"strings"
)

// Installation returns the id of the installation with this state folder: derived from the machine and the
// user, so that it comes back when the state is lost; random only where the machine has no id. A folder
// other than the usual one is an installation of its own. The id is a hash: nothing of the machine's id is
// told to AWS.
func Installation(dir, usual string) string {
	machine := strings.TrimSpace(machineID())
	if machine == "" {
		return ""
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Uid
	}
	if dir == usual {
		dir = ""
	}
	sum := sha256.Sum256([]byte("emr-accessd installation\x00" + machine + "\x00" + name + "\x00" + dir))
	return hex.EncodeToString(sum[:8])
}

// randomInstallation is an id for a machine that has none, or for a cloned one.
func randomInstallation() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return hex.EncodeToString(b[:])
}
