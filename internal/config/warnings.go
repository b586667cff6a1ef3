package config

import "strings"

// Warnings are the settings that loosen what the program promises, each as a sentence for `status`: allowed, but
// nobody should find out about them by accident.
func Warnings(c Config) []string {
	var w []string
	a := c.Address
	if asks := a.IPv4.Kind == Auto || a.IPv6.Kind == Auto; asks {
		if a.Agree == 1 {
			w = append(w, "address.agree = 1: a single source decides which address may reach the cluster")
		}
		if a.Require == "" {
			w = append(w, `address.require = "": AWS need not be among those who see the address`)
		}
		if len(a.Sources) > 0 {
			w = append(w, "address.source: the address comes from own sources ("+strings.Join(a.Operators(), ", ")+") instead of the built-in ones")
		}
		if !a.EgressCheck {
			w = append(w, "address.egress-check = false: nobody notices when the cluster sees another address than the sources do")
		}
	}
	if len(a.Accept) > 0 {
		w = append(w, "address.accept: "+list(a.Accept)+" counts as public")
	}
	if a.IPv6Prefix == 64 && a.IPv6.Kind != Off {
		w = append(w, "address.ipv6-prefix = 64: everybody in the own IPv6 network is let in, not this computer alone")
	}
	return w
}

func list[T interface{ String() string }](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.String()
	}
	return strings.Join(texts, ", ")
}
