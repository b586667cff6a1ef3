package keeper

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

func closedRule() Closed {
	return Closed{ID: "sgr-0123456789abcdef0", Group: "sg-0123456789abcdef0", Port: 22, CIDR: netip.MustParsePrefix("0.0.0.0/0"), Description: "legacy 'rule'",
		Tags: map[string]string{"team": "data", "aws:cloudformation:stack-name": "x"}, Target: "j-1", Region: "eu-west-1", Account: "123456789012",
		Who: "alice@laptop", At: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
}

func TestClosedRecords(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	c := closedRule()
	if _, err := s.Closed(c.ID); !errors.Is(err, ErrNoRecord) {
		t.Error(err)
	}
	if err := s.SaveClosed(c); err != nil {
		t.Fatal(err)
	}
	got, err := s.Closed(c.ID)
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v", got, err)
	}
	if n := got.NewRule(); n.CIDR != c.CIDR || n.Description != c.Description || !reflect.DeepEqual(n.Tags, map[string]string{"team": "data"}) {
		t.Errorf("%+v", n)
	}
	if ids := s.ClosedIDs(); len(ids) != 1 || ids[0] != c.ID {
		t.Error(ids)
	}
	for _, id := range []string{"", "../state", "sgr-0123456789abcdef0/../x", "sgr-ffffffffffffffff0"} {
		if _, err := s.Closed(id); !errors.Is(err, ErrNoRecord) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := os.Rename(s.Path("closed-"+c.ID+".json"), s.Path("closed-sgr-ffffffffffffffff0.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Closed("sgr-ffffffffffffffff0"); err == nil || !strings.Contains(err.Error(), "another rule") {
		t.Error(err)
	}
}

// What a record may restore is what close-public may have removed, and nothing else.
func TestParseClosedRefuses(t *testing.T) {
	for name, change := range map[string]func(*Closed){
		"a narrow rule":      func(c *Closed) { c.CIDR = netip.MustParsePrefix("192.0.2.0/24") },
		"no source":          func(c *Closed) { c.CIDR = netip.Prefix{} },
		"an unmasked source": func(c *Closed) { c.CIDR = netip.MustParsePrefix("1.0.0.0/1") },
		"no port":            func(c *Closed) { c.Port = 0 },
		"a port beyond":      func(c *Closed) { c.Port = 65536 },
		"a hostile id":       func(c *Closed) { c.ID = "sgr-0123456789abcdef0\n" },
		"a hostile group":    func(c *Closed) { c.Group = "sg-1; rm" },
		"no account":         func(c *Closed) { c.Account = "" },
		"no region":          func(c *Closed) { c.Region = "" },
		"a rule of ours":     func(c *Closed) { c.Tags = map[string]string{sgsync.OwnerTag: "AIDA"} },
	} {
		c := closedRule()
		change(&c)
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseClosed(data); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func FuzzParseClosed(f *testing.F) {
	good, _ := json.Marshal(closedRule())
	for _, seed := range []string{string(good), "{}", "", `{"cidr":"0.0.0.0/0","port":22}`, `{"cidr":"::ffff:0.0.0.0/96"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseClosed(data)
		if err != nil {
			return
		}
		n := c.NewRule()
		if ok, _ := sgsync.Closable(c.rule(), c.Port); !ok || n.CIDR != n.CIDR.Masked() || n.Port < 1 || n.Port > 65535 || n.Tags[sgsync.OwnerTag] != "" {
			t.Errorf("%+v", c)
		}
	})
}

// What was closed or opened since the last round is shown as it is now, and nothing else changes.
func TestNotePublic(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.NotePublic("sg-1", "sgr-1", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Path(stateFile)); err == nil {
		t.Error("a state was made of nothing")
	}
	st := newState()
	st.Status.Report.Targets = []TargetReport{{Target: "a", Groups: []GroupReport{{ID: "sg-1", Public: []string{"sgr-1", "sgr-2"}}, {ID: "sg-2", Public: []string{"sgr-1"}}}}}
	if err := s.Save(st); err != nil {
		t.Fatal(err)
	}
	public := func() [][]string {
		st, _ := s.Load()
		gs := st.Status.Report.Targets[0].Groups
		return [][]string{gs[0].Public, gs[1].Public}
	}
	if err := s.NotePublic("sg-1", "sgr-1", ""); err != nil || !reflect.DeepEqual(public(), [][]string{{"sgr-2"}, {"sgr-1"}}) {
		t.Errorf("%v, %v", public(), err)
	}
	if err := s.NotePublic("sg-1", "", "sgr-0"); err != nil || !reflect.DeepEqual(public(), [][]string{{"sgr-0", "sgr-2"}, {"sgr-1"}}) {
		t.Errorf("%v, %v", public(), err)
	}
}
