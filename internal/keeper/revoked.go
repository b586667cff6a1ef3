package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// revokedFile has what a person has given back while sessions were open. It is a file of its own, as that of a pause is: the
// state is a cache that may be lost, and what a person said is not. It is gone when no session is open.
const revokedFile = "revoked.json"

// given are a person's words about what open sessions may bring back, one after the other. The last one about a target counts.
type given []word

// word says of targets that their rules were given back, or of one that it is wanted again.
type word struct {
	All     bool   `json:"all,omitempty"`     // everything was given back
	Subject string `json:"subject,omitempty"` // what has this Target.subject was given back
	Again   string `json:"again,omitempty"`   // the target with this Target.key is wanted again
}

// subject is what a target is about, whatever its nodes, port and account: who gives back a cluster means all sessions to it,
// also those that flags have led elsewhere.
func (t Target) subject() string {
	switch {
	case t.Cluster != "":
		return t.Cluster
	case t.SecurityGroup != "":
		return t.SecurityGroup
	}
	return fmt.Sprintf("%s|%s|%v", t.Region, t.NamePattern, t.ClusterTags)
}

// has reports whether a target is given back.
func (g given) has(t Target) bool {
	for _, w := range slices.Backward(g) {
		switch {
		case w.All, w.Subject != "" && w.Subject == t.subject():
			return true
		case w.Again != "" && w.Again == t.key():
			return false
		}
	}
	return false
}

// add notes a word, in place of the same one before.
func (g given) add(w word) given {
	if w.All {
		return given{w}
	}
	return append(slices.DeleteFunc(slices.Clone(g), func(o word) bool { return o == w }), w)
}

// revoked reads what was given back. A file that cannot be read counts as everything: when in doubt, nothing is opened.
func (s *Store) revoked() given {
	data, err := readFile(s.Path(revokedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var g given
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		return given{{All: true}}
	}
	return g
}

// setRevoked replaces what was given back. The caller holds the lock.
func (s *Store) setRevoked(g given) error {
	if len(g) == 0 {
		if err := os.Remove(s.Path(revokedFile)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return s.replace(revokedFile, append(data, '\n'))
}
