package ipwatch

import (
	"fmt"
	"net"
	"strings"
)

// Interface flags, the same on Linux (netdevice(7)) and macOS (<net/if.h>).
const (
	ifUp       = 0x1
	ifLoopback = 0x8
	ifRunning  = 0x40
)

// link is what is known of one interface.
type link struct {
	name    string
	running bool // up and with a carrier
}

// linkTable remembers the interfaces by index, so that a message about one that has been down all the time, such as
// the many about containers that start, does not count as a loss. A nil table knows nothing and expects the worst.
type linkTable map[int]link

// readLinks reads the interfaces of this computer; nil where they cannot be read.
func readLinks() linkTable {
	list, err := net.Interfaces()
	if err != nil {
		return nil
	}
	t := make(linkTable, len(list))
	for _, i := range list {
		t[i.Index] = link{i.Name, i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0}
	}
	return t
}

// missed notes that messages were lost: any interface may have come up meanwhile, and going down is a loss then.
func (t linkTable) missed() {
	for index, l := range t {
		l.running = true
		t[index] = l
	}
}

// label names an interface in a sentence.
func (t linkTable) label(index int) string {
	if name := t[index].name; name != "" {
		return clean(name, 32)
	}
	return fmt.Sprintf("interface %d", index)
}

// changed is the hint of a message about an interface; name is "" where the message has none. A port of a bridge or
// a bond is never a way out by itself: what it is a port of is.
func (t linkTable) changed(index int, name string, flags uint32, port bool) Hint {
	old, known := t[index]
	if name == "" {
		name = old.name
	}
	now := link{name, flags&ifUp != 0 && flags&ifRunning != 0}
	if t != nil {
		t[index] = now
	}
	h := Hint{Kind: HintLink, Reason: t.labelled(index, name) + " changed"}
	switch {
	case now.running && known && !old.running:
		h.Reason = t.labelled(index, name) + " came up"
	case !now.running && (old.running || t == nil):
		h.Reason = t.labelled(index, name) + " went down"
		h.Lost = !port && !peerLink(name)
	case !known && t != nil:
		h.Reason = t.labelled(index, name) + " is new"
	}
	return h
}

// removed is the hint of an interface that is no more.
func (t linkTable) removed(index int, name string, port bool) Hint {
	old := t[index]
	if name == "" {
		name = old.name
	}
	delete(t, index)
	return Hint{Kind: HintLink, Reason: t.labelled(index, name) + " was removed",
		Lost: (old.running || t == nil) && !port && !peerLink(name)}
}

func (t linkTable) labelled(index int, name string) string {
	return linkTable{index: {name: name}}.label(index)
}

// peerLink tells whether an interface of macOS only talks to other devices nearby (AirDrop and the like). They come
// and go by themselves and lead nowhere.
func peerLink(name string) bool {
	return strings.HasPrefix(name, "awdl") || strings.HasPrefix(name, "llw")
}
