package sshsession

// The names of the process's own console.
const (
	ttyIn  = "CONIN$"
	ttyOut = "CONOUT$"
)
