// Package keeper runs rounds: look at the address, the targets and the rules, plan, apply, report; once for
// a command, or in a loop for the daemon.
package keeper
