//go:build linux && race

package netlab_test

// buildFlags make the program be built like the test.
var buildFlags = []string{"-race"}
