// Package svcmgr makes the program a service of the system's own service manager, and talks to the one that started it.
//
// Each manager is told what to do by its own tool, through a [Runner], and by kardianos/service. An installation is
// whole or not there: what it changed before it failed is put back.
package svcmgr
