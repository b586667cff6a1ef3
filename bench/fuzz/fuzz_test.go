package main

import (
	"slices"
	"testing"
	"testing/fstest"
)

func TestFind(t *testing.T) {
	found, err := find(fstest.MapFS{
		"a/x_test.go":          {Data: []byte("package a\nfunc FuzzOne(f *testing.F) {}\nfunc TestTwo(t *testing.T) {}\nfunc (x) FuzzNot() {}\n")},
		"a/b/y_test.go":        {Data: []byte("package b\n// func FuzzComment(f *testing.F)\nfunc FuzzTwo(f *testing.F) {}\n")},
		"a/x.go":               {Data: []byte("package a\nfunc FuzzNoTest() {}\n")},
		"a/testdata/z_test.go": {Data: []byte("package z\nfunc FuzzData(f *testing.F) {}\n")},
		".git/w_test.go":       {Data: []byte("no Go")},
	})
	if want := []target{{"a/b", "FuzzTwo"}, {"a", "FuzzOne"}}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%v %v, want %v", found, err, want)
	}
}

func TestRead(t *testing.T) {
	var r result
	r.read("fuzz: elapsed: 0s, gathering baseline coverage: 0/7 completed\nfuzz: elapsed: 3s, execs: 10 (3/sec), new interesting: 1 (total: 8)\n" +
		"fuzz: elapsed: 6s, execs: 251340 (83774/sec), new interesting: 4 (total: 11)\nPASS\n")
	if r.Execs != 251340 || r.New != 4 || r.Corpus != 11 {
		t.Errorf("%+v", r)
	}
	if r = (result{}); r.Execs != 0 {
		t.Error(r)
	}
	r.read("ok\n")
	if r.Execs != 0 {
		t.Errorf("%+v", r)
	}
}

func TestOnlyLate(t *testing.T) {
	const end = "fuzz: elapsed: 5s, execs: 7321 (2010/sec), new interesting: 43 (total: 51)\n--- FAIL: FuzzLoad (5.05s)\n    context deadline exceeded\nFAIL\nexit status 1\n"
	for text, want := range map[string]bool{
		end: true, "": false, "--- FAIL: FuzzLoad (5.05s)\n    --- FAIL: FuzzLoad (0.00s)\n        x_test.go:1: context deadline exceeded\nFAIL\n": false,
		end + "Failing input written to testdata/fuzz/FuzzLoad/1\n": false,
	} {
		if got := onlyLate(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestLength(t *testing.T) {
	for text, want := range map[string]bool{"5s": true, "1m30s": true, "2000x": true, "0x": false, "": false, "x": false, "-5s": false, "5": false} {
		if got := lengthForm.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
