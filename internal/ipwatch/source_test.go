package ipwatch_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// configured is the source that a detector makes of one in the configuration.
func configured(s ipwatch.Source) (ipwatch.Source, error) {
	d, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.Policy{Agree: 1}, Sources: []ipwatch.Source{s}})
	if err != nil {
		return ipwatch.Source{}, err
	}
	return d.Sources[0], nil
}

// TestSourceNormal: what is left out is filled in.
func TestSourceNormal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want ipwatch.Source }{
		{ipwatch.Source{Operator: " MINE ", URL: "https://IP.Example.org./x"},
			ipwatch.Source{Name: "ip.example.org", Operator: "mine", URL: "https://IP.Example.org./x", Format: ipwatch.Text}},
		{ipwatch.Source{Name: "a\x1b" + strings.Repeat("x", 100), Operator: "mine", URL: "https://a.example/", Format: ipwatch.Trace},
			ipwatch.Source{Name: `a\x1b` + strings.Repeat("x", 55) + "…", Operator: "mine", URL: "https://a.example/", Format: ipwatch.Trace}},
		{ipwatch.Source{Operator: "mine", URL: "https://192.0.2.1/"},
			ipwatch.Source{Name: "192.0.2.1", Operator: "mine", URL: "https://192.0.2.1/", Format: ipwatch.Text, Family: ipwatch.V4}},
		{ipwatch.Source{Operator: "mine", URL: "https://[2600:1f18::1]/", Family: ipwatch.V6},
			ipwatch.Source{Name: "2600:1f18::1", Operator: "mine", URL: "https://[2600:1f18::1]/", Format: ipwatch.Text, Family: ipwatch.V6}},
		{ipwatch.Source{Operator: "mine", URL: "https://a.example/", Family: ipwatch.V6},
			ipwatch.Source{Name: "a.example", Operator: "mine", URL: "https://a.example/", Format: ipwatch.Text, Family: ipwatch.V6}},
	} {
		if got, err := configured(c.in); err != nil || got != c.want {
			t.Errorf("%+v, %v\nwant %+v", got, err, c.want)
		}
	}
}

// TestSourceBorders: the longest that is accepted, and what is a character longer.
func TestSourceBorders(t *testing.T) {
	t.Parallel()
	url := func(length int) string {
		return "https://a.example/" + strings.Repeat("x", length-len("https://a.example/"))
	}
	for _, c := range []struct {
		operator, url, want string // "" is accepted
	}{
		{strings.Repeat("a", 40), url(40), ""},
		{strings.Repeat("a", 41), url(40), "at most 40"},
		{"mine", url(2048), ""},
		{"mine", url(2049), "longer than 2048"},
		{"mine", "https://[::ffff:192.0.2.1]/", "not an address that can be asked"},
		{"mine", "https://[fe80::1%25eth0]/", "not an address that can be asked"},
	} {
		_, err := configured(ipwatch.Source{Operator: c.operator, URL: c.url})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v, want …%s…", c.url, c.operator, err, c.want)
		}
	}
}

// TestNewDetectorCAFile: a file that is not there, is none, or has no end.
func TestNewDetectorCAFile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	load := func(name string) error {
		_, err := configured(ipwatch.Source{Operator: "mine", URL: "https://a.example/", CAFile: name})
		return err
	}
	if err := load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := load(t.TempDir()); err == nil || strings.Contains(err.Error(), "PEM") {
		t.Errorf("a folder: %v", err)
	}
	for size, accepted := range map[int64]bool{ipwatch.MaxCAFile: true, ipwatch.MaxCAFile + 1: false} {
		if err := os.Truncate(l.CAFile, size); err != nil { // longer, with zeros
			t.Fatal(err)
		}
		if err := load(l.CAFile); (err == nil) != accepted || err != nil && !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestNewDetectorEnough: the sources matter when any family asks them.
func TestNewDetectorEnough(t *testing.T) {
	t.Parallel()
	off := ipwatch.Setting{Mode: ipwatch.ModeOff}
	fixed := ipwatch.Setting{Mode: ipwatch.ModeFixed, Fixed: netip.MustParseAddr(addrX)}
	for _, c := range []struct {
		v4, v6 ipwatch.Setting
		refuse bool
	}{{off, off, false}, {fixed, off, false}, {ipwatch.Setting{}, off, true}, {off, ipwatch.Setting{Mode: ipwatch.ModeAuto}, true}} {
		_, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.DefaultPolicy(), Sources: []ipwatch.Source{},
			Settings: map[ipwatch.Family]ipwatch.Setting{ipwatch.V4: c.v4, ipwatch.V6: c.v6}})
		if (err != nil) != c.refuse {
			t.Errorf("%+v, %+v: %v", c.v4, c.v6, err)
		}
	}
	// One operator may answer at the same URL over two families, and its name is compared without regard to case.
	d, err := ipwatch.NewDetector(ipwatch.Config{Policy: ipwatch.Policy{Agree: 1, Require: " AWS "}, Sources: []ipwatch.Source{
		{Operator: "aws", URL: "https://a.example/", Family: ipwatch.V4}, {Operator: "AWS", URL: "https://a.example/", Family: ipwatch.V6}}})
	if err != nil || d.Policy.Require != "aws" {
		t.Errorf("%+v, %v", d, err)
	}
}
