package config_test

import (
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

func TestWarnings(t *testing.T) {
	const own = "[[address.source]]\nurl = 'https://a.example/'\noperator = 'a'\n"
	tests := []struct {
		text string
		want []string // the beginnings
	}{
		{"", nil},
		{"[address]\nagree = 1", []string{"address.agree = 1:"}},
		{"[address]\nrequire = ''", []string{`address.require = "":`}},
		{"[address]\negress-check = false", []string{"address.egress-check = false:"}},
		{"[address]\naccept = ['127.0.0.0/8', '10.0.0.0/8']", []string{"address.accept: 127.0.0.0/8, 10.0.0.0/8 counts"}},
		{"[address]\nipv6-prefix = 64", []string{"address.ipv6-prefix = 64:"}},
		{"[address]\nipv6-prefix = 64\nipv6 = 'off'", nil},
		{"[address]\nagree = 1\nrequire = ''\n" + own, []string{"address.agree = 1:", "address.require = \"\":", "address.source: the address comes from own sources (a)"}},
		// Nobody is asked when the address is fixed.
		{"[address]\nagree = 1\nrequire = ''\nipv4 = '203.0.113.7'\nipv6 = 'off'", nil},
	}
	for _, test := range tests {
		c, err := config.Parse([]byte(test.text), "c.toml")
		if err != nil {
			t.Fatal(err)
		}
		got := config.Warnings(c)
		ok := len(got) == len(test.want)
		for i := range got {
			ok = ok && strings.HasPrefix(got[i], test.want[i])
		}
		if !ok {
			t.Errorf("%s\ngot %q, want %q", test.text, got, test.want)
		}
	}
}

func TestModeText(t *testing.T) {
	for _, text := range []string{"auto", "off", "local", "203.0.113.7", "2001:db8::7"} {
		var m config.Mode
		if err := m.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if back, _ := m.MarshalText(); string(back) != text {
			t.Errorf("%s becomes %s", text, back)
		}
	}
	var m config.Mode
	if err := m.UnmarshalText([]byte("fixed")); err == nil {
		t.Error(`"fixed" is a mode without an address`)
	}
}
