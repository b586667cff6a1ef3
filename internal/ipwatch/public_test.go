package ipwatch_test

import (
	"net/netip"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestPublic has the first and the last address of every refused range, and their neighbours outside.
func TestPublic(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.0.0.1",
		"127.255.255.255", "169.254.0.0", "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.0",
		"192.0.2.255", "192.88.99.0", "192.88.99.255", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255",
		"198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
		"::", "::1", "::ffff:52.94.236.248", "64:ff9b::808:808", "100::1", "1fff:ffff::1", "2001::", "2001:1ff:ffff::1", "2001:db8::1",
		"2002::1", "2002:ffff::1", "3fff::1", "3fff:fff:ffff::1", "4000::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1", "fe80::1%eth0",
		"fec0::1", "ff02::1", "2600:1f18::7%eth0",
	} {
		if err := ipwatch.Public(netip.MustParseAddr(s), nil); err == nil {
			t.Errorf("Public(%s) = nil, want an error", s)
		}
	}
	for _, s := range []string{
		"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
		"169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
		"223.255.255.255", "52.94.236.248", "2000::1", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2003::1", "2600:1f18::7",
		"3ffe:ffff::1", "3fff:1000::1",
	} {
		if err := ipwatch.Public(netip.MustParseAddr(s), nil); err != nil {
			t.Errorf("Public(%s) = %v, want nil", s, err)
		}
	}
	if ipwatch.Public(netip.Addr{}, nil) == nil {
		t.Error("the zero address is public")
	}
}

func TestPublicAccept(t *testing.T) {
	t.Parallel()
	all := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for _, s := range []string{"127.0.0.9", "10.1.2.3", "203.0.113.7", "::1", "fd00::1", "fe80::1", "169.254.1.1", "52.94.236.248"} {
		if err := ipwatch.Public(netip.MustParseAddr(s), all); err != nil {
			t.Errorf("Public(%s, everything accepted) = %v", s, err)
		}
	}
	for _, s := range []string{"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:10.0.0.1", "fe80::1%eth0"} {
		if ipwatch.Public(netip.MustParseAddr(s), all) == nil {
			t.Errorf("Public(%s) = nil: accepting must not reach so far", s)
		}
	}
	if ipwatch.Public(netip.MustParseAddr("203.0.114.7"), labAccept) != nil || ipwatch.Public(netip.MustParseAddr("10.0.0.1"), labAccept) == nil {
		t.Error("accepting one range changes others")
	}
}

// FuzzPublic compares with what package netip knows by itself.
func FuzzPublic(f *testing.F) {
	for _, s := range []string{addrX, addr6, "10.0.0.1", "::ffff:1.2.3.4", "fe80::1", "3fff::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, _ := netip.AddrFromSlice(raw)
		if ipwatch.Public(a, nil) != nil {
			return
		}
		if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is4In6() || ipwatch.FamilyOf(a) == 0 {
			t.Errorf("%s counts as public", a)
		}
		if a.Is6() && a.As16()[0]>>5 != 1 {
			t.Errorf("%s is outside of 2000::/3 and counts as public", a)
		}
	})
}
