// Command emr-accessd keeps your own public IP authorized for SSH on an Amazon EMR cluster.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), append(endings(), os.Interrupt)...)
	code := run(ctx, os.Args[1:], streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// endings are the signals that tell the program to end, but for Ctrl-C.
func endings() []os.Signal {
	stops := []os.Signal{syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		stops = append(stops, syscall.SIGHUP) // the terminal is closed: what a session holds is given back
	}
	return stops
}
