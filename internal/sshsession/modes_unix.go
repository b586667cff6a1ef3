//go:build linux || darwin

package sshsession

import (
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// terminalModes are the local terminal's modes as SSH encodes them (RFC 4254 section 8), so that the server's terminal erases, echoes
// and interrupts with the same keys. Empty where they cannot be read.
func terminalModes(fd int) ssh.TerminalModes {
	modes := ssh.TerminalModes{}
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return modes
	}
	keys := map[uint8]int{
		ssh.VINTR: unix.VINTR, ssh.VQUIT: unix.VQUIT, ssh.VERASE: unix.VERASE, ssh.VKILL: unix.VKILL, ssh.VEOF: unix.VEOF,
		ssh.VEOL: unix.VEOL, ssh.VEOL2: unix.VEOL2, ssh.VSTART: unix.VSTART, ssh.VSTOP: unix.VSTOP, ssh.VSUSP: unix.VSUSP,
		ssh.VREPRINT: unix.VREPRINT, ssh.VWERASE: unix.VWERASE, ssh.VLNEXT: unix.VLNEXT, ssh.VDISCARD: unix.VDISCARD,
	}
	for mode, index := range keys {
		modes[mode] = uint32(t.Cc[index])
		if t.Cc[index] == keyDisabled {
			modes[mode] = 255 // what RFC 4254 says for "no key"
		}
	}
	flags := []struct {
		word  uint64
		flags map[uint8]uint64
	}{
		{uint64(t.Iflag), map[uint8]uint64{ssh.IGNPAR: unix.IGNPAR, ssh.PARMRK: unix.PARMRK, ssh.INPCK: unix.INPCK, ssh.ISTRIP: unix.ISTRIP,
			ssh.INLCR: unix.INLCR, ssh.IGNCR: unix.IGNCR, ssh.ICRNL: unix.ICRNL, ssh.IXON: unix.IXON, ssh.IXANY: unix.IXANY,
			ssh.IXOFF: unix.IXOFF, ssh.IMAXBEL: unix.IMAXBEL, ssh.IUTF8: unix.IUTF8}},
		{uint64(t.Lflag), map[uint8]uint64{ssh.ISIG: unix.ISIG, ssh.ICANON: unix.ICANON, ssh.ECHO: unix.ECHO, ssh.ECHOE: unix.ECHOE,
			ssh.ECHOK: unix.ECHOK, ssh.ECHONL: unix.ECHONL, ssh.NOFLSH: unix.NOFLSH, ssh.TOSTOP: unix.TOSTOP, ssh.IEXTEN: unix.IEXTEN,
			ssh.ECHOCTL: unix.ECHOCTL, ssh.ECHOKE: unix.ECHOKE, ssh.PENDIN: unix.PENDIN}},
		{uint64(t.Oflag), map[uint8]uint64{ssh.OPOST: unix.OPOST, ssh.ONLCR: unix.ONLCR, ssh.OCRNL: unix.OCRNL, ssh.ONOCR: unix.ONOCR,
			ssh.ONLRET: unix.ONLRET}},
		{uint64(t.Cflag), map[uint8]uint64{ssh.PARENB: unix.PARENB, ssh.PARODD: unix.PARODD}},
	}
	for _, group := range flags {
		for mode, flag := range group.flags {
			modes[mode] = 0
			if group.word&flag != 0 {
				modes[mode] = 1
			}
		}
	}
	size := uint64(t.Cflag) & unix.CSIZE // two bits that name one of four sizes
	modes[ssh.CS7], modes[ssh.CS8] = 0, 0
	switch size {
	case unix.CS7:
		modes[ssh.CS7] = 1
	case unix.CS8:
		modes[ssh.CS8] = 1
	}
	// The speed means nothing here, but sshd wants one; OpenSSH says 38400 for a terminal emulator.
	modes[ssh.TTY_OP_ISPEED], modes[ssh.TTY_OP_OSPEED] = 38400, 38400
	return modes
}
