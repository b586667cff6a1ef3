package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// content is a file of a Linux package.
type content struct {
	from, to string // within the stage, where * means every file; and on the system, a folder for these
	mode     fs.FileMode
	doc      bool   // rpm knows documentation, which users may leave out
	formats  string // which packages have it; all when empty
}

// contents is what the Linux packages put on a system. The unit is there for all users and enabled for nobody: that is
// each user's own decision. Alpine has no systemd, and zsh looks in another folder on Debian.
func contents() []content {
	const doc, licences = "/usr/share/doc/emr-accessd/", "/usr/share/licenses/emr-accessd/"
	return []content{
		{from: "emr-accessd", to: "/usr/bin/emr-accessd", mode: 0o755},
		{from: "emr-accessd.service", to: "/usr/lib/systemd/user/emr-accessd.service", formats: "deb rpm archlinux"},
		{from: "man/*.1.gz", to: "/usr/share/man/man1/", doc: true},
		{from: "completions/emr-accessd.bash", to: "/usr/share/bash-completion/completions/emr-accessd"},
		{from: "completions/emr-accessd.fish", to: "/usr/share/fish/vendor_completions.d/emr-accessd.fish"},
		{from: "completions/_emr-accessd", to: "/usr/share/zsh/vendor-completions/_emr-accessd", formats: "deb"},
		{from: "completions/_emr-accessd", to: "/usr/share/zsh/site-functions/_emr-accessd", formats: "rpm apk archlinux"},
		{from: "README.md", to: doc + "README.md", doc: true},
		{from: "docs/*.md", to: doc + "docs/", doc: true},
		{from: "config.example.toml", to: doc + "examples/config.toml", doc: true},
		{from: "THIRD_PARTY_LICENSES", to: doc + "THIRD_PARTY_LICENSES", formats: "deb"},
		{from: "THIRD_PARTY_LICENSES", to: licences + "THIRD_PARTY_LICENSES", formats: "rpm apk archlinux"},
		{from: "LICENSE", to: licences + "LICENSE", formats: "rpm apk archlinux"},
		{from: "CHANGELOG.md", to: doc + "CHANGELOG.md", doc: true, formats: "rpm apk archlinux"},
		{from: "changelog.gz", to: doc + "changelog.gz", formats: "deb"},
		{from: "changelog.Debian.gz", to: doc + "changelog.Debian.gz", formats: "deb"},
		{from: "copyright", to: doc + "copyright", formats: "deb"},
		{from: "package/lintian-overrides", to: "/usr/share/lintian/overrides/emr-accessd", formats: "deb"},
	}
}

const description = `emr-accessd follows your laptop from network to network. It keeps one rule for
your present public IP address in the security group of an Amazon EMR cluster,
moves that rule when the address changes, and takes it away again. It verifies
the cluster's host key and opens SSH sessions to it. It changes no rule that it
did not make, and it runs as you, without root.`

type dict map[string]any

// nfpmConfig is nfpm's configuration for one package (nfpm.goreleaser.com/configuration), as JSON, which is YAML too.
// It says mode, owner and time of everything, so that nothing depends on the machine.
func (r *release) nfpmConfig(format, arch string, stage fs.FS) ([]byte, error) {
	files := []dict{}
	for _, c := range contents() {
		if c.formats != "" && !slices.Contains(strings.Fields(c.formats), format) {
			continue
		}
		mode := c.mode
		if mode == 0 {
			mode = 0o644
		}
		sources, err := fs.Glob(stage, c.from)
		if err != nil || len(sources) == 0 {
			return nil, fmt.Errorf("%s: there is none to pack (%w)", c.from, err)
		}
		for _, from := range sources {
			file := dict{"src": from, "dst": c.to, "file_info": dict{"mode": mode, "owner": "root", "group": "root", "mtime": r.date.Format(time.RFC3339)}}
			if strings.HasSuffix(c.to, "/") {
				file["dst"] = c.to + path.Base(from)
			}
			switch {
			case format == "rpm" && c.doc:
				file["type"] = "doc"
			case format == "rpm" && strings.Contains(c.to, "/licenses/"):
				file["type"] = "license"
			}
			files = append(files, file)
		}
	}
	if format == "rpm" { // which leaves behind folders that no package says are its own
		for _, folder := range []string{"/usr/share/doc/emr-accessd", "/usr/share/doc/emr-accessd/docs", "/usr/share/doc/emr-accessd/examples", "/usr/share/licenses/emr-accessd"} {
			files = append(files, dict{"dst": folder, "type": "dir", "file_info": dict{"mode": 0o755, "owner": "root", "group": "root", "mtime": r.date.Format(time.RFC3339)}})
		}
	}
	summary := summary
	if format == "rpm" { // which wants a capital letter, as Debian does not
		summary = strings.ToUpper(summary[:1]) + summary[1:]
	}
	config := dict{
		"name": "emr-accessd", "arch": arch, "version": r.versionFor(format), "version_schema": "none", "release": "1",
		"section": "net", "priority": "optional", "maintainer": r.publisher.String(), "vendor": r.publisher.name,
		"homepage": "https://" + project, "license": "Apache-2.0", "description": summary + "\n" + description,
		"mtime": r.date.Format(time.RFC3339), "umask": 0o022, "contents": files, "suggests": []string{"openssh-client"},
	}
	// Certificates are needed to verify AWS and the address echoes, and each system names them in its own way.
	switch format {
	case "deb":
		config["recommends"] = []string{"ca-certificates"}
		config["scripts"] = dict{"postinstall": "package/postinst", "preremove": "package/prerm", "postremove": "package/postrm"}
		config["deb"] = dict{"compression": "gzip"} // xz saves a tenth and takes three times as long
	case "rpm":
		config["suggests"], config["recommends"] = []string{"openssh-clients"}, []string{"ca-certificates"}
		config["scripts"] = dict{"postinstall": "package/post.rpm", "preremove": "package/preun.rpm", "postremove": "package/postun.rpm"}
		config["description"] = description
		// nfpm would write this machine's name.
		config["rpm"] = dict{"summary": summary, "group": "Applications/Internet", "compression": "gzip", "buildhost": "localhost", "packager": r.publisher.String()}
	case "apk":
		delete(config, "suggests") // it has no such thing
		config["depends"] = []string{"ca-certificates-bundle"}
		config["description"] = summary
	case "archlinux":
		delete(config, "suggests") // nfpm writes none here
		config["depends"] = []string{"ca-certificates"}
		config["scripts"] = dict{"postinstall": "package/post_install.arch", "preremove": "package/pre_remove.arch", "postremove": "package/post_remove.arch"}
		config["archlinux"] = dict{"packager": r.publisher.String(), "scripts": dict{"postupgrade": "package/post_upgrade.arch"}}
		config["description"] = summary
	default:
		return nil, fmt.Errorf("%s is not a format of nfpm", format)
	}
	return json.MarshalIndent(config, "", "  ")
}
