package config

// KnownKeys lets the test of docs/configuration.md see every key that is read.
var KnownKeys = knownKeys

// Locate lets a test hold our places against go-toml's.
func Locate(data []byte) map[string][2]int {
	found := map[string][2]int{}
	for path, at := range locate(data).keys {
		found[path] = [2]int{at.line, at.column}
	}
	return found
}
