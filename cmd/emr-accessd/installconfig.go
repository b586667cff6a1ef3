package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/emr-accessd/emr-accessd/internal/config"
)

// completeConfig writes the AWS profile and region of this shell into the targets that name none, so that the service,
// and commands in other shells, mean the same account. A file that cannot be completed stays as it is: then the service
// has the names from its environment. undo puts the file back.
func (a *app) completeConfig(rec *kept) (undo func()) {
	undo = func() {}
	profile := cmp.Or(rec.env["AWS_PROFILE"], rec.env["AWS_DEFAULT_PROFILE"])
	region := cmp.Or(rec.env["AWS_REGION"], rec.env["AWS_DEFAULT_REGION"])
	if a.cfg.Path == "" || profile == "" && region == "" {
		return undo
	}
	was, err := config.ReadPrivate(a.cfg.Path)
	if err != nil {
		return undo
	}
	text, changed, err := config.Complete(was, profile, region)
	if err != nil || changed == 0 {
		return undo
	}
	if err := replaceText(a.cfg.Path, text); err != nil {
		return undo
	}
	rec.notes = append(rec.notes, fmt.Sprintf("note: the targets of %s that named no AWS profile or region have those of this shell now (%s)", a.cfg.Path, awsNames(profile, region)))
	return func() { _ = replaceText(a.cfg.Path, was) }
}

func awsNames(profile, region string) string {
	switch {
	case profile == "":
		return "region " + region
	case region == "":
		return "profile " + profile
	}
	return "profile " + profile + ", region " + region
}

// replaceText writes a file anew, all or nothing, where it really is, with the mode that it has.
func replaceText(path string, text []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".emr-accessd-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed, and that is meant
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
