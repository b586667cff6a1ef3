package ipwatch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestFloodHidesLink: the message that a link came up was dropped. When it goes down that is a loss all the same.
func TestFloodHidesLink(t *testing.T) {
	t.Parallel()
	n := newNetns(t)
	n.ip("link", "set", "peer0", "down") // eth0 has no carrier
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var run func() <-chan ipwatch.Hint
	n.do(func() {
		l, err := ipwatch.OpenNetwork()
		if err != nil {
			t.Error(err)
			return
		}
		run = func() <-chan ipwatch.Hint { return ipwatch.RunListening(ctx, l) }
	})
	if run == nil {
		return
	}
	n.batch(strings.Repeat("addr add 10.1.2.3/24 dev lo\naddr del 10.1.2.3/24 dev lo\n", 1500) + "link set peer0 up\n")
	time.Sleep(1500 * time.Millisecond) // the kernel tells of a carrier within a second (net/core/link_watch.c)
	w := &watched{t: t, hints: run()}
	w.until("!overflow: the kernel dropped messages: too many at once")
	n.ip("link", "set", "peer0", "down")
	w.until("!link: eth0 went down")
	cancel()
	for range w.hints {
	}
}
