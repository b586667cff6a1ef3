package ipwatch_test

import (
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// FuzzParseSetting: whatever is accepted is one host of the family. (Zones are refused by NewDetector.)
func FuzzParseSetting(f *testing.F) {
	for _, s := range []string{"", "auto", "off", "local", "192.0.2.1", "192.0.2.1/32", "192.0.2.0/24", "2001:db8::1/128", "::ffff:192.0.2.1", "fe80::1%eth0", "192.0.2.1/32/32", "\x1b[31m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, family := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			got, err := ipwatch.ParseSetting(family, s)
			switch {
			case err != nil:
				if strings.ContainsAny(err.Error(), "\n\r\x1b") {
					t.Errorf("%q: %q", s, err)
				}
			case got.Mode == ipwatch.ModeFixed && !family.Has(got.Fixed):
				t.Errorf("%s %q: %v", family, s, got.Fixed)
			case got.Mode != ipwatch.ModeFixed && got.Fixed.IsValid():
				t.Errorf("%s %q: %v", family, s, got)
			}
		}
	})
}
