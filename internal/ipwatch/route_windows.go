package ipwatch

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

var procGetBestRoute2 = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetBestRoute2")

// routeTo asks the system for the entry of the routing table that an address matches (GetBestRoute2, netioapi.h). It
// needs no privilege.
func routeTo(to netip.Addr) (Hop, error) {
	if err := procGetBestRoute2.Find(); err != nil {
		return Hop{}, fmt.Errorf("routing table: %w", err)
	}
	var dst, source windows.RawSockaddrInet
	var row windows.MibIpForwardRow2
	copy(sockaddrBytes(unsafe.Pointer(&dst)), windowsSockaddr(to))
	code, _, _ := procGetBestRoute2.Call(0, 0, 0, uintptr(unsafe.Pointer(&dst)), 0,
		uintptr(unsafe.Pointer(&row)), uintptr(unsafe.Pointer(&source)))
	if code != 0 {
		return Hop{}, windowsRouteError(uint32(code), to)
	}
	prefix := &row.DestinationPrefix
	h, err := windowsHop(windowsRow{
		Dst:    windowsPrefix(sockaddrBytes(unsafe.Pointer(&prefix.Prefix)), prefix.PrefixLength),
		Next:   windowsAddr(sockaddrBytes(unsafe.Pointer(&row.NextHop))),
		Origin: row.Origin,
	}, to)
	if err != nil {
		return Hop{}, err
	}
	return h.viaInterface(int(row.InterfaceIndex)), nil
}
