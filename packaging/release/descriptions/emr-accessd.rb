# Made by packaging/build for emr-accessd {{.Version}}: a Homebrew cask, for a tap of the publisher's.
cask "emr-accessd" do
  os macos: "darwin", linux: "linux"
  arch arm: "arm64", intel: "amd64"

  version "{{.Version}}"
  sha256 arm:          "{{sum "darwin" "arm64"}}",
         intel:        "{{sum "darwin" "amd64"}}",
         arm64_linux:  "{{sum "linux" "arm64"}}",
         x86_64_linux: "{{sum "linux" "amd64"}}"

  url "{{.URL}}/emr-accessd_#{version}_#{os}_#{arch}.tar.gz"
  name "emr-accessd"
  desc "Keep your own IP address authorized for SSH on Amazon EMR"
  homepage "https://{{.Project}}"

  folder = "emr-accessd_#{version}_#{os}_#{arch}"
  binary "#{folder}/emr-accessd"
  bash_completion "#{folder}/completions/emr-accessd.bash"
  fish_completion "#{folder}/completions/emr-accessd.fish"
  zsh_completion "#{folder}/completions/_emr-accessd"
{{- range .Pages}}
  manpage "#{folder}/man/{{.}}"
{{- end}}

  zap trash: [
    "~/.config/emr-accessd",
    "~/.local/state/emr-accessd",
    "~/Library/Application Support/emr-accessd",
  ]

  caveats <<~EOS
    Before you remove emr-accessd, stop its service: emr-accessd uninstall

    emr-accessd is not signed with an Apple certificate, so macOS refuses its first
    start. Homebrew has compared the download with its checksum. If you trust where
    the checksum came from:
      xattr -d com.apple.quarantine "$(readlink -f "$(which emr-accessd)")"
  EOS
end
