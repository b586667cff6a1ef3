package transfer

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// randomServer makes a server that answers each request with something of the right form and random content, and hangs up some time.
func randomServer(t *rapid.T) func(conn net.Conn) {
	kinds := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 60).Draw(t, "kinds")
	words := rapid.SliceOfN(rapid.SampledFrom([]string{"f", "d", ".", "..", "../x", "a/b", "/etc", "", "\x1b[2J", "link", "long" + strings.Repeat("x", 300)}), 1, 20).Draw(t, "words")
	modes := rapid.SliceOfN(rapid.SampledFrom([]uint32{0o100644, 0o104777, 0o040755, 0o120777, 0o010644, 0, 0o777}), 1, 10).Draw(t, "modes")
	sizes := rapid.SliceOfN(rapid.SampledFrom([]uint64{0, 1, 5, chunk, chunk + 1, 1 << 40, 1 << 63, 1<<64 - 1}), 1, 10).Draw(t, "sizes")
	word := func(i int) []byte {
		w := words[i%len(words)]
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(w))), w...)
	}
	attrs := func(i int) []byte {
		b := binary.BigEndian.AppendUint32(nil, 0x1|0x4|0x8)
		b = binary.BigEndian.AppendUint64(b, sizes[i%len(sizes)])
		b = binary.BigEndian.AppendUint32(b, modes[i%len(modes)])
		return binary.BigEndian.AppendUint64(b, 1<<33)
	}
	return func(conn net.Conn) {
		defer conn.Close()
		for i := 0; ; i++ {
			head := make([]byte, 4)
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			request := make([]byte, min(binary.BigEndian.Uint32(head), 1<<20))
			if _, err := io.ReadFull(conn, request); err != nil || len(request) < 5 || i > 400 {
				return
			}
			var answer []byte
			id := request[1:5]
			switch kind := kinds[i%len(kinds)]; {
			case request[0] == 1: // INIT
				answer = []byte{2, 0, 0, 0, 3}
			case kind == 0: // STATUS: its code
				answer = append(append(append([]byte{101}, id...), 0, 0, 0, byte(i%9)), append(word(i), word(i+1)...)...)
			case kind == 1: // HANDLE
				answer = append(append([]byte{102}, id...), word(i)...)
			case kind == 2: // DATA
				answer = append(append([]byte{103}, id...), word(i)...)
			case kind == 3: // NAME
				answer = append(append([]byte{104}, id...), 0, 0, 0, byte(i%3))
				for n := range i % 3 {
					answer = append(append(append(answer, word(i+n)...), word(i)...), attrs(i+n)...)
				}
			case kind == 4: // ATTRS
				answer = append(append([]byte{105}, id...), attrs(i)...)
			default: // what was asked for: mostly a success
				success := map[byte]byte{3: 102, 11: 102, 5: 103, 7: 105, 8: 105, 17: 105, 12: 104, 16: 104}[request[0]]
				switch success {
				case 102:
					answer = append(append([]byte{102}, id...), 0, 0, 0, 1, 'h')
				case 103:
					answer = append(append([]byte{103}, id...), 0, 0, 0, 1, 'x')
				case 105:
					answer = append(append([]byte{105}, id...), attrs(i)...)
				case 104:
					answer = append(append(append(append([]byte{104}, id...), 0, 0, 0, 1), append(word(i), word(i)...)...), attrs(i)...)
				default:
					answer = append(append([]byte{101}, id...), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
				}
			}
			if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)); err != nil {
				return
			}
		}
	}
}

// Whatever a server answers, nothing panics or hangs, nothing is written outside of the destination, and no part remains.
func TestRandomServer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		above, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		dest := filepath.Join(above, "dest")
		tree(t, above, map[string]string{"dest/": "", "src/f": "f", "src/big": noise(3 * chunk), "src/sub/": ""})
		before := listing(t, filepath.Join(above, "src"))
		serve := randomServer(rt)
		opt, verb := Options{Follow: rapid.Bool().Draw(rt, "follow")}, rapid.IntRange(0, 3).Draw(rt, "verb")
		here, there := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			serve(there)
		}()
		defer func() { here.Close(); <-served }()
		c, err := Open(t.Context(), here, func() { here.Close() })
		if err != nil {
			rt.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			switch verb {
			case 0:
				_, _ = c.Put(t.Context(), []string{filepath.Join(above, "src")}, "d/", opt)
			case 1:
				_, _ = c.PutStream(t.Context(), strings.NewReader(noise(2*chunk)), "f", opt)
			case 2:
				_, _ = c.GetStream(t.Context(), "f", io.Discard, opt)
			default:
				_, _ = c.Get(t.Context(), []string{"d", "x*"}, dest, opt)
			}
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			rt.Fatal("it hangs")
		}
		all := listing(t, above)
		if strings.Contains(all, partTail) || listing(t, filepath.Join(above, "src")) != before {
			rt.Errorf("there is %s", all)
		}
		for _, name := range strings.Fields(all) {
			if !strings.HasPrefix(name, "dest/") && !strings.HasPrefix(name, "src/") || strings.Contains(name, "\x1b") {
				rt.Errorf("there is %q", name)
			}
		}
	})
}
