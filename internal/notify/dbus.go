//go:build unix && !darwin

package notify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// New is the desktop of this system: the notification server on the session's D-Bus.
func New() Desktop { return bus{sessionBus()} }

// bus shows messages through org.freedesktop.Notifications. Each message has a connection of its own: they are rare, and
// a session may begin and end while the daemon runs.
type bus struct{ address string }

// sessionBus is the address of the session's bus, "" for none. The library would start a bus where there is none, and
// knows addresses that start programs; here only a socket of this computer counts.
func sessionBus() string {
	for one := range strings.SplitSeq(os.Getenv("DBUS_SESSION_BUS_ADDRESS"), ";") {
		if strings.HasPrefix(one, "unix:") {
			return one
		}
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(dir) {
		return ""
	}
	socket := filepath.Join(dir, "bus")
	if info, err := os.Stat(socket); err != nil || info.Mode()&os.ModeSocket == 0 {
		return ""
	}
	return "unix:path=" + dbus.EscapeBusAddressValue(socket)
}

const (
	server    = "org.freedesktop.Notifications"
	serverAt  = dbus.ObjectPath("/org/freedesktop/Notifications")
	normal    = byte(1) // urgency
	critical  = byte(2)
	asServer  = int32(-1) // how long it is shown: the server knows best
	untilRead = int32(0)
)

// Show implements [Desktop].
func (b bus) Show(ctx context.Context, m Message) error {
	if b.address == "" {
		return fmt.Errorf("%w: there is no session bus", ErrNoDesktop)
	}
	conn, err := dbus.Dial(b.address, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("%w: session bus: %w", ErrNoDesktop, err)
	}
	defer conn.Close()
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		return fmt.Errorf("%w: session bus: %w", ErrNoDesktop, err)
	}
	if err := conn.Hello(); err != nil {
		return fmt.Errorf("%w: session bus: %w", ErrNoDesktop, err)
	}
	to := conn.Object(server, serverAt)
	var can []string
	if err := to.CallWithContext(ctx, server+".GetCapabilities", 0).Store(&can); err != nil {
		return fmt.Errorf("%w: %w", ErrNoDesktop, err)
	}
	m = m.plain()
	if slices.Contains(can, "body-markup") {
		m.Text = markup.Replace(m.Text)
	}
	urgency, expires := normal, asServer
	if m.Urgent {
		urgency, expires = critical, untilRead
	}
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(urgency), "category": dbus.MakeVariant("network")}
	call := to.CallWithContext(ctx, server+".Notify", 0, "emr-accessd", uint32(0), "network-server", m.Title, m.Text, []string{}, hints, expires)
	if call.Err != nil {
		return fmt.Errorf("%w: %w", ErrNoDesktop, call.Err)
	}
	return nil
}
