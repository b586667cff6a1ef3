package notify

// New is the desktop of this system: macOS's notification centre, by osascript.
func New() Desktop { return command{make: osascript} }
