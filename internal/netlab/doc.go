// Package netlab makes small internets out of Linux network namespaces, for tests and benchmarks: a laptop behind a
// router that translates addresses, and servers whose answers a test sets. Nothing leaves the namespaces.
//
// It needs root, iproute2 and nftables. All addresses are of the ranges for documentation (RFC 5737, RFC 3849).
package netlab
