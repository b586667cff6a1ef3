package ipwatch

import "sync/atomic"

// Traffic counts UDP packets and their payload in bytes. IPBytes is the whole with the headers of IP without options
// (20 bytes, RFC 791; 40 in IPv6, RFC 8200) and of UDP (8, RFC 768).
type Traffic struct {
	SentPackets     int64 `json:"sent_packets"`
	SentBytes       int64 `json:"sent_bytes"`
	ReceivedPackets int64 `json:"received_packets"`
	ReceivedBytes   int64 `json:"received_bytes"`
	IPBytes         int64 `json:"ip_bytes"`
}

func (t Traffic) plus(u Traffic) Traffic {
	return Traffic{t.SentPackets + u.SentPackets, t.SentBytes + u.SentBytes, t.ReceivedPackets + u.ReceivedPackets,
		t.ReceivedBytes + u.ReceivedBytes, t.IPBytes + u.IPBytes}
}

// headers is the size of the IP and UDP headers of a packet.
func (f Family) headers() int {
	if f == V6 {
		return 48
	}
	return 28
}

type meter struct{ out, outBytes, in, inBytes, ip atomic.Int64 }

func (m *meter) sent(f Family, n int) {
	m.out.Add(1)
	m.outBytes.Add(int64(n))
	m.ip.Add(int64(n + f.headers()))
}

func (m *meter) received(f Family, n int) {
	m.in.Add(1)
	m.inBytes.Add(int64(n))
	m.ip.Add(int64(n + f.headers()))
}

func (m *meter) read() Traffic {
	return Traffic{m.out.Load(), m.outBytes.Load(), m.in.Load(), m.inBytes.Load(), m.ip.Load()}
}
