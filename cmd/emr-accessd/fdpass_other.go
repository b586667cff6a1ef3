//go:build !unix

package main

import (
	"net"
	"os"
)

// canPass: OpenSSH for Windows cannot take descriptors.
const canPass = false

func passable(*os.File) error { return errNoSocket }

func pass(*os.File, net.Conn) error { return errNoSocket }
