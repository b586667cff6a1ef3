// Package sgsync decides and makes the changes of security group rules that keep an address authorized:
// rules, leases, the pure Plan, and Apply over a five-method interface.
package sgsync
