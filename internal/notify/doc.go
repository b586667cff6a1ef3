// Package notify tells the user on the desktop what only the user can settle: each thing once, until it was settled
// and has come back. It knows nothing of what it tells, and asks the system for nothing but to show a text.
package notify
