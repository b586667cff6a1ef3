// Package bootlab boots a real systemd, with logins and journal, in a container that is thrown away: for tests of the
// service. It is a copy of this computer's files in memory, and has the network of a host of netlab.
//
// It needs root, systemd-nspawn and overlayfs. Nothing of it outlives the process.
package bootlab
