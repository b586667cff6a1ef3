package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// The environment variables that name the file and the folder directly.
const (
	EnvConfig = "EMR_ACCESSD_CONFIG" // the configuration file
	EnvState  = "EMR_ACCESSD_STATE"  // the state folder
)

// fileName is the name of the configuration file in its folder, and folder the name of the program's folders.
const (
	fileName = "config.toml"
	folder   = "emr-accessd"
)

// DefaultPath is where the configuration file is looked for: EMR_ACCESSD_CONFIG, or config.toml in the folder
// emr-accessd of the user's configuration folder. It fails when the user has no home.
func DefaultPath() (string, error) {
	if path := os.Getenv(EnvConfig); path != "" {
		return filepath.Abs(path)
	}
	base, err := baseDir(runtime.GOOS, os.Getenv, "XDG_CONFIG_HOME", ".config", "AppData")
	if err != nil {
		return "", err
	}
	return filepath.Join(base, folder, fileName), nil
}

// StateDir is the folder of the state file and the lock: EMR_ACCESSD_STATE, or the folder emr-accessd among the
// user's state. It is not created. It fails when the user has no home.
func StateDir() (string, error) {
	if path := os.Getenv(EnvState); path != "" {
		return filepath.Abs(path)
	}
	base, err := baseDir(runtime.GOOS, os.Getenv, "XDG_STATE_HOME", ".local/state", "LocalAppData")
	if err != nil {
		return "", err
	}
	return filepath.Join(base, folder), nil
}

// baseDir is the folder for one kind of file: on Linux and the like the XDG base directory specification's, which
// says that a relative path in the variable is to be ignored.
func baseDir(goos string, getenv func(string) string, xdg, underHome, windows string) (string, error) {
	if goos == "windows" {
		if dir := getenv(windows); dir != "" {
			return dir, nil
		}
		return "", errors.New("%" + windows + "% is not set")
	}
	if goos != "darwin" && filepath.IsAbs(getenv(xdg)) {
		return getenv(xdg), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", errors.New("$HOME is not set")
	}
	if goos == "darwin" {
		return filepath.Join(home, "Library", "Application Support"), nil
	}
	return filepath.Join(home, filepath.FromSlash(underHome)), nil
}
