// Command release makes the packages of emr-accessd: archives, Linux packages, descriptions for package managers,
// checksums and software bills of materials. packaging/build runs it.
//
// It uses nothing but the standard library, Go's own command, git and nfpm, so that it runs wherever Go does. What it
// makes depends on the sources, the Go release and the parameters alone: times come from the last commit, owners and
// modes are fixed, and names are sorted. The same input gives the same bytes, in any folder.
package main
