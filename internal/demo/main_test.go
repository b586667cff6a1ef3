package demo_test

import (
	"fmt"
	"os"
	"testing"
)

// miniatureVariable makes the test binary act as the program, faithfully or with a fault.
const miniatureVariable = "EMR_ACCESSD_DEMO_MINIATURE"

func TestMain(m *testing.M) {
	fault, ok := os.LookupEnv(miniatureVariable)
	if !ok {
		os.Exit(m.Run())
	}
	code, err := miniature(fault, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "miniature:", err)
	}
	os.Exit(code)
}
