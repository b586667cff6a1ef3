package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Closed is a public rule that was removed, or is about to be, with all that is needed to put it back.
type Closed struct {
	ID          string            `json:"id"` // of the rule that was removed: sgr-…
	Group       string            `json:"group"`
	Port        int               `json:"port"`
	CIDR        netip.Prefix      `json:"cidr"`
	Description string            `json:"description"`
	Tags        map[string]string `json:"tags"`
	Target      string            `json:"target"`
	Profile     string            `json:"profile"`
	Region      string            `json:"region"`
	Account     string            `json:"account"`
	Who         string            `json:"who"`
	At          time.Time         `json:"at"`
	Restored    string            `json:"restored,omitempty"` // the rule that was made in its place
}

// ErrNoRecord is returned for a rule that was not closed from here.
var ErrNoRecord = errors.New("no record of a rule that was closed here has this id")

var (
	ruleForm    = regexp.MustCompile(`\Asgr-[0-9a-f]{8,17}\z`)
	groupForm   = regexp.MustCompile(`\Asg-[0-9a-f]{8,17}\z`)
	accountForm = regexp.MustCompile(`\A[0-9]{12}\z`)
)

const closedPrefix = "closed-"

// ParseClosed reads a record, and refuses one that would restore anything but a public rule of one tcp port.
func ParseClosed(data []byte) (Closed, error) {
	var c Closed
	if err := json.Unmarshal(data, &c); err != nil {
		return Closed{}, fmt.Errorf("record of a closed rule: %w", err)
	}
	ok, _ := sgsync.Closable(c.rule(), c.Port)
	if !ruleForm.MatchString(c.ID) || !groupForm.MatchString(c.Group) || !accountForm.MatchString(c.Account) || c.Region == "" ||
		c.CIDR != c.CIDR.Masked() || c.CIDR.Addr().Is4In6() || c.Port < 1 || c.Port > 65535 || !ok {
		return Closed{}, errors.New("record of a closed rule: it does not describe a public rule of one port")
	}
	return c, nil
}

func (c Closed) rule() sgsync.Rule {
	return sgsync.Rule{ID: c.ID, Group: c.Group, Protocol: "tcp", FromPort: c.Port, ToPort: c.Port, CIDR: c.CIDR, Description: c.Description, Tags: c.Tags}
}

// NewRule is the rule that puts it back. Tags that begin with aws: are AWS's own and cannot be set.
func (c Closed) NewRule() sgsync.NewRule {
	n := sgsync.NewRule{Port: c.Port, CIDR: c.CIDR, Description: c.Description, Tags: map[string]string{}}
	for k, v := range c.Tags {
		if !strings.HasPrefix(strings.ToLower(k), "aws:") {
			n.Tags[k] = v
		}
	}
	return n
}

// SaveClosed writes a record that only the user can read, and returns when it is on disk, its name too. The caller holds the lock.
func (s *Store) SaveClosed(c Closed) error {
	if !ruleForm.MatchString(c.ID) {
		return fmt.Errorf("%q is not the id of a rule", c.ID)
	}
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return err
	}
	if _, err := ParseClosed(data); err != nil {
		return err // what cannot be read back is no record
	}
	return s.replace(closedPrefix+c.ID+".json", append(data, '\n'))
}

// Closed reads the record of a rule.
func (s *Store) Closed(id string) (Closed, error) {
	if !ruleForm.MatchString(id) {
		return Closed{}, ErrNoRecord
	}
	data, err := readFile(s.Path(closedPrefix + id + ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Closed{}, ErrNoRecord
	}
	if err != nil {
		return Closed{}, fmt.Errorf("record of a closed rule: %w", err)
	}
	c, err := ParseClosed(data)
	if err == nil && c.ID != id {
		err = errors.New("record of a closed rule: it is about another rule than its name says")
	}
	return c, err
}

// ClosedIDs lists the rules that have a record, sorted.
func (s *Store) ClosedIDs() []string {
	names, _ := filepath.Glob(s.Path(closedPrefix + "*.json"))
	ids := []string{}
	for _, name := range names {
		id := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), closedPrefix), ".json")
		if ruleForm.MatchString(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// NotePublic keeps what `status` shows true: a public rule of a group has gone, or has come, since the last round. The
// caller holds the lock.
func (s *Store) NotePublic(group, gone, come string) error {
	st, _ := s.Load()
	changed := false
	for _, t := range st.Status.Report.Targets {
		for i := range t.Groups {
			g := &t.Groups[i]
			if g.ID != group {
				continue
			}
			public := slices.DeleteFunc(slices.Clone(g.Public), func(id string) bool { return id == gone || id == come })
			if come != "" {
				public = append(public, come)
				slices.Sort(public)
			}
			g.Public, changed = public, true
		}
	}
	if !changed {
		return nil
	}
	return s.Save(st)
}
