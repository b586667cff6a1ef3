package sshsession

// The escapes of an interactive session, as in OpenSSH: a tilde that begins a line.
const escapeHelp = "\r\nSupported escape sequences:\r\n" +
	" ~.   end the connection\r\n" +
	" ~~   send a tilde\r\n" +
	" ~?   this text\r\n" +
	"(Escapes are only recognised right after a newline.)\r\n"

// escapes finds the escapes in what is typed. It is a state machine over bytes, so it does not matter how the bytes are cut.
type escapes struct {
	midLine bool // the last byte sent was no newline
	tilde   bool // a tilde that began a line is held back
}

// filter returns what of the input is to be sent, in order; whether the connection is to end, in which case the rest of the input is
// dropped; and whether help is wanted.
func (e *escapes) filter(in []byte) (send []byte, end, help bool) {
	for _, b := range in {
		if e.tilde {
			e.tilde, e.midLine = false, true
			switch b {
			case '.':
				return send, true, help
			case '?':
				help, e.midLine = true, false
				continue
			case '~': // one tilde is sent
			default:
				send = append(send, '~')
			}
		} else if b == '~' && !e.midLine {
			e.tilde = true
			continue
		}
		send = append(send, b)
		e.midLine = b != '\r' && b != '\n'
	}
	return send, false, help
}
