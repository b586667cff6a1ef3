package ipwatch

import (
	"context"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// listeners are who wants to know. The system's callbacks are made once, since package windows never frees one, and
// no Go pointer may be left with the system: so they find their receivers here.
var listeners struct {
	mu  sync.Mutex
	net map[*ipHelper]func(Hint)
	pow map[*powerWatch]func(Hint)
}

// tell hands a hint to everybody who listens to the network. It runs on a thread of the system: put never waits.
func tell(h Hint, ok bool) uintptr {
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	for _, put := range listeners.net {
		if ok {
			put(h)
		}
	}
	return 0
}

var addrCallback = sync.OnceValue(func() uintptr {
	return windows.NewCallback(func(_ uintptr, row *windows.MibUnicastIpAddressRow, notification uint32) uintptr {
		if row == nil {
			return tell(windowsAddrHint(notification, 0, windowsAddr(nil)))
		}
		return tell(windowsAddrHint(notification, row.InterfaceIndex, windowsAddr(sockaddrBytes(unsafe.Pointer(&row.Address)))))
	})
})

var routeCallback = sync.OnceValue(func() uintptr {
	return windows.NewCallback(func(_ uintptr, row *windows.MibIpForwardRow2, notification uint32) uintptr {
		if row == nil {
			return tell(windowsRouteHint(notification, windowsPrefix(nil, 0)))
		}
		dst := &row.DestinationPrefix
		return tell(windowsRouteHint(notification, windowsPrefix(sockaddrBytes(unsafe.Pointer(&dst.Prefix)), dst.PrefixLength)))
	})
})

var linkCallback = sync.OnceValue(func() uintptr {
	return windows.NewCallback(func(_ uintptr, row *windows.MibIpInterfaceRow, notification uint32) uintptr {
		if row == nil {
			return tell(windowsLinkHint(notification, 0))
		}
		return tell(windowsLinkHint(notification, row.InterfaceIndex))
	})
})

// sockaddrBytes are the 28 bytes of a SOCKADDR_INET.
func sockaddrBytes(p unsafe.Pointer) []byte { return unsafe.Slice((*byte)(p), 28) }

// ipHelper are three registrations with the IP helper (netioapi.h): addresses, routes, interfaces. They need no
// privilege and no thread.
type ipHelper struct {
	handles []windows.Handle
	early   *hintQueue // what came between the registration and listen
}

func openNetwork() (listening, error) {
	n := &ipHelper{early: newHintQueue()}
	listeners.mu.Lock()
	if listeners.net == nil {
		listeners.net = make(map[*ipHelper]func(Hint))
	}
	listeners.net[n] = n.early.put
	listeners.mu.Unlock()
	for _, r := range []struct {
		name     string
		register func(uint16, uintptr, unsafe.Pointer, bool, *windows.Handle) error
		callback uintptr
	}{
		{"NotifyUnicastIpAddressChange", windows.NotifyUnicastIpAddressChange, addrCallback()},
		{"NotifyRouteChange2", windows.NotifyRouteChange2, routeCallback()},
		{"NotifyIpInterfaceChange", windows.NotifyIpInterfaceChange, linkCallback()},
	} {
		var h windows.Handle
		if err := r.register(windows.AF_UNSPEC, r.callback, nil, false, &h); err != nil {
			n.close()
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		n.handles = append(n.handles, h)
	}
	return n, nil
}

func (n *ipHelper) listen(ctx context.Context, put func(Hint)) error {
	defer n.close()
	listeners.mu.Lock()
	listeners.net[n] = put
	listeners.mu.Unlock()
	for h, ok := n.early.take(); ok; h, ok = n.early.take() {
		put(h)
	}
	<-ctx.Done()
	return nil
}

// close gives the registrations back. It must not hold the lock meanwhile: the system waits for callbacks that run,
// and these wait for the lock.
func (n *ipHelper) close() {
	for _, h := range n.handles {
		_ = windows.CancelMibChangeNotify2(h) // there is no other way to give it back
	}
	listeners.mu.Lock()
	delete(listeners.net, n)
	listeners.mu.Unlock()
}

var (
	powrprof      = windows.NewLazySystemDLL("powrprof.dll")
	powerRegister = powrprof.NewProc("PowerRegisterSuspendResumeNotification")
	powerRelease  = powrprof.NewProc("PowerUnregisterSuspendResumeNotification")
)

// powerSubscription is DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS (powrprof.h), and deviceNotifyCallback the flag that asks
// for it: a callback needs no window.
type powerSubscription struct{ callback, context uintptr }

const deviceNotifyCallback = 2

// powerParameters stays where it is for as long as the process runs.
var powerParameters = sync.OnceValue(func() *powerSubscription {
	return &powerSubscription{callback: windows.NewCallback(func(_ uintptr, event uint32, _ uintptr) uintptr {
		h, ok := windowsPowerHint(event)
		listeners.mu.Lock()
		defer listeners.mu.Unlock()
		for _, put := range listeners.pow {
			if ok {
				put(h)
			}
		}
		return 0
	})}
})

// powerWatch is a registration with the power manager.
type powerWatch struct{ handle uintptr }

func openWake() (listening, error) {
	if err := powerRegister.Find(); err != nil { // Windows 8 and later have it
		return nil, err
	}
	if err := powerRelease.Find(); err != nil {
		return nil, err
	}
	w := &powerWatch{}
	code, _, _ := powerRegister.Call(deviceNotifyCallback, uintptr(unsafe.Pointer(powerParameters())), uintptr(unsafe.Pointer(&w.handle)))
	if code != 0 {
		return nil, fmt.Errorf("PowerRegisterSuspendResumeNotification: %w", windows.Errno(code))
	}
	return w, nil
}

// listen also lets the wall clock tick. It finds what the power manager does not tell, a clock that is set, and
// it keeps a timer armed: where nothing but callbacks could wake the program up, the Go runtime takes it for
// deadlocked and aborts it.
func (w *powerWatch) listen(ctx context.Context, put func(Hint)) error {
	listeners.mu.Lock()
	if listeners.pow == nil {
		listeners.pow = make(map[*powerWatch]func(Hint))
	}
	listeners.pow[w] = put
	listeners.mu.Unlock()
	err := wallTick{}.listen(ctx, put)
	_, _, _ = powerRelease.Call(w.handle) // without the lock, for the same reason as above
	listeners.mu.Lock()
	delete(listeners.pow, w)
	listeners.mu.Unlock()
	return err
}
