//go:build !linux && !darwin && !windows

package keeper

// machineID: other systems get a random installation id.
func machineID() string { return "" }
