package transfer

import (
	"errors"
	"fmt"
	"io/fs"
)

// source is what the user wants copied, as far as the destination depends on it.
type source struct {
	path string
	name string // its last name, or ""
	dir  bool
}

// state is what is at a destination.
type state int

const (
	missing state = iota
	isFile
	isFolder
)

// destination is where sources go: each gets a name in one folder.
type destination struct {
	folder string
	names  []string // "" is the folder itself
	mkdir  bool     // the folder is to be made, with those above it
}

// PlaceError says that the destination does not fit.
type PlaceError struct {
	Dest string
	Why  string
}

func (e *PlaceError) Error() string { return e.Dest + " " + e.Why }

// notPlain is why a device, a pipe or a socket is no destination. A file gets its name when it is whole, so it would take the place
// of one: nobody means that, and root would have no /dev/null any more.
const notPlain = "is no plain file, and is not replaced"

var errSpecial = errors.New("there is something of this name that is no plain file, and is not replaced")

// special reports whether something is a device, a pipe or a socket. (What Windows keeps in a cloud is irregular, and a file all the same.)
func special(info fs.FileInfo) bool {
	return info.Mode()&(fs.ModeDevice|fs.ModeCharDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0
}

// place decides where sources go, as cp and scp do: into dest where it is a folder; else the only source becomes dest. A dest with
// a slash at its end is a folder in any case, and made where it is missing. split parts a path into its folder and last name.
func place(sources []source, dest string, at state, slash bool, split func(string) (folder, name string)) (destination, error) {
	if at == isFolder || at == missing && slash {
		d := destination{folder: dest, mkdir: at == missing}
		seen := map[string]string{}
		for _, s := range sources {
			if s.name == "" && !s.dir {
				return d, &PlaceError{s.path, "has no name to be stored under"}
			}
			if other, twice := seen[s.name]; twice && s.name != "" {
				return d, &PlaceError{dest, fmt.Sprintf("cannot hold both %s and %s under one name", other, s.path)}
			}
			seen[s.name] = s.path
			d.names = append(d.names, s.name)
		}
		return d, nil
	}
	switch {
	case len(sources) > 1 && at == missing:
		return destination{}, &PlaceError{dest, "does not exist, and several things cannot become one; end it with / to have the folder made"}
	case len(sources) > 1, slash, sources[0].dir && at == isFile:
		return destination{}, &PlaceError{dest, "is a file, not a folder"}
	}
	folder, name := split(dest)
	if name == "" {
		return destination{}, &PlaceError{dest, "has no name to store a file under"}
	}
	return destination{folder: folder, names: []string{name}}, nil
}
