// Package config reads config.toml strictly and checks it: what it returns is plain data that the rest of the program may trust.
package config
