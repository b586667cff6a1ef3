package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The part of SPDX 2.3 that says what a program is made of (spdx.github.io/spdx-spec/v2.3).
type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	License       string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID               string         `json:"SPDXID"`
	Name             string         `json:"name"`
	Version          string         `json:"versionInfo"`
	Supplier         string         `json:"supplier,omitempty"`
	DownloadLocation string         `json:"downloadLocation"`
	FilesAnalyzed    bool           `json:"filesAnalyzed"`
	FileName         string         `json:"packageFileName,omitempty"`
	Checksums        []spdxChecksum `json:"checksums,omitempty"`
	Concluded        string         `json:"licenseConcluded"`
	Declared         string         `json:"licenseDeclared"`
	Copyright        string         `json:"copyrightText"`
	Purpose          string         `json:"primaryPackagePurpose"`
	References       []spdxRef      `json:"externalRefs"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const noAssertion = "NOASSERTION"

// writeSBOM writes the bill of materials of one system's program: the modules that are compiled into it, with the
// licences that they come with.
func (r *release) writeSBOM(t target, works []borrowed, program, made string) error {
	sum, err := fileSum(program)
	if err != nil {
		return err
	}
	name := r.archiveName(t)
	main := purl(project, "v"+r.version.String())
	main.ID, main.Name, main.Version = "SPDXRef-emr-accessd", "emr-accessd", r.version.String()
	main.Purpose, main.FileName = "APPLICATION", t.program()
	main.Checksums = []spdxChecksum{{"SHA256", sum}}
	main.Concluded, main.Declared = "Apache-2.0", "Apache-2.0"
	if r.publisher != nobody() {
		main.Supplier = "Person: " + r.publisher.name + " (" + r.publisher.address + ")"
	}
	doc := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: name,
		Namespace:     "https://" + project + "/spdx/" + name + "-" + sum,
		Creation:      spdxCreation{r.date.Format(time.RFC3339), []string{"Tool: emr-accessd packaging/build"}},
		Packages:      []spdxPackage{main},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", main.ID}},
	}
	for i, w := range works {
		p := purl(w.module, w.version)
		if w.module == "std" {
			p = purl("stdlib", w.version) // as vulnerability scanners call it
		}
		p.ID = fmt.Sprintf("SPDXRef-module-%d", i+1)
		p.Concluded, p.Declared = noAssertion, strings.Join(w.licences(), " AND ")
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships, spdxRelationship{main.ID, "DEPENDS_ON", p.ID})
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(made, name+".spdx.json"), append(data, '\n'), 0o644)
}

// purl is a Go module as a package, with the address that tools know it by (github.com/package-url/purl-spec).
func purl(module, version string) spdxPackage {
	return spdxPackage{
		Name: module, Version: version, DownloadLocation: noAssertion, Copyright: noAssertion, Purpose: "LIBRARY",
		References: []spdxRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")}},
	}
}
