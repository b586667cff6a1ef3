// Package tunnel listens on ports of this computer and has the connections go on from a server: fixed forwards (as ssh -L), a SOCKS5
// proxy (as ssh -D), and the web interfaces of Amazon EMR by their names.
//
// Ports are opened on loopback addresses unless the caller says otherwise, and Unix sockets for their owner alone. The package neither
// logs nor knows SSH: its caller brings the function that makes a connection at the far side, and gets sentences to show.
package tunnel
