package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestSBOM(t *testing.T) {
	r := exampleRelease(t)
	made := t.TempDir()
	program := filepath.Join(made, "emr-accessd")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	works := []borrowed{
		{module: "example.org/two", version: "v2.0.0+incompatible", texts: []text{{licence: "MIT"}, {licence: "BSD-3-Clause"}, {licence: "MIT"}, {file: "NOTICE"}}},
		{module: "std", version: "1.26.8", texts: []text{{licence: "BSD-3-Clause"}}},
	}
	if err := r.writeSBOM(target{"linux", "amd64"}, works, program, made); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(made, "emr-accessd_1.2.3-rc.1_linux_amd64.spdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc spdxDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Packages) != 3 || len(doc.Relationships) != 3 || doc.Creation.Created != "2026-11-28T13:20:28Z" {
		t.Fatalf("%s", data)
	}
	const emptyFile = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if p := doc.Packages[0]; p.Checksums[0].Value != emptyFile || p.References[0].Locator != "pkg:golang/github.com/emr-accessd/emr-accessd@v1.2.3-rc.1" {
		t.Errorf("%+v", p)
	}
	if p := doc.Packages[1]; p.Declared != "BSD-3-Clause AND MIT" || p.References[0].Locator != "pkg:golang/example.org/two@v2.0.0%2Bincompatible" {
		t.Errorf("%+v", p)
	}
	if p := doc.Packages[2]; p.References[0].Locator != "pkg:golang/stdlib@1.26.8" {
		t.Errorf("%+v", p)
	}
	ids := map[string]bool{doc.ID: true}
	for _, p := range doc.Packages {
		if ids[p.ID] {
			t.Errorf("%s twice", p.ID)
		}
		ids[p.ID] = true
	}
	for _, rel := range doc.Relationships {
		if !ids[rel.Element] || !ids[rel.Related] {
			t.Errorf("%+v is between packages that are not there", rel)
		}
	}
}
