package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// archiveName is the name of an archive without its ending, and of the folder in it.
func (r *release) archiveName(t target) string {
	return fmt.Sprintf("emr-accessd_%s_%s_%s", r.version, t.os, t.arch)
}

// archiveFile is the name of an archive.
func (r *release) archiveFile(t target) string {
	if t.os == "windows" {
		return r.archiveName(t) + ".zip"
	}
	return r.archiveName(t) + ".tar.gz"
}

// archive packs a folder: zip for Windows, which opens nothing else by itself, tar.gz for the others.
func (r *release) archive(t target, stage, made string) error {
	files, err := packed(stage, t)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	write := writeTar
	if t.os == "windows" {
		write = writeZip
	}
	if err := write(&buf, files, r.archiveName(t), r.date); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(made, r.archiveFile(t)), buf.Bytes(), 0o644)
}

// file is one member of an archive.
type file struct {
	name string // with slashes, below the archive's folder
	mode fs.FileMode
	data []byte
}

// packed reads what an archive for this system contains, in the order of the names.
func packed(stage string, t target) ([]file, error) {
	var files []file
	err := fs.WalkDir(os.DirFS(stage), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if t.os != "linux" && path.Ext(name) == ".service" || t.os == "windows" && path.Dir(name) == "man" {
			return nil
		}
		data, err := os.ReadFile(filepath.Join(stage, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if name == t.program() {
			mode = 0o755
		}
		files = append(files, file{name, mode, data})
		return nil
	})
	return files, err
}

func writeTar(w io.Writer, files []file, folder string, date time.Time) error {
	gz, err := gzip.NewWriterLevel(w, gzip.BestCompression) // its header has no name and no time
	if err != nil {
		return err
	}
	tw := tar.NewWriter(gz)
	for _, f := range files {
		h := &tar.Header{Name: path.Join(folder, f.name), Mode: int64(f.mode), Size: int64(len(f.data)), ModTime: date, Format: tar.FormatUSTAR, Uname: "root", Gname: "root"}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := tw.Write(f.data); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return gz.Close()
}

func writeZip(w io.Writer, files []file, folder string, date time.Time) error {
	zw := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: path.Join(folder, f.name), Method: zip.Deflate, Modified: date}
		h.SetMode(f.mode)
		fw, err := zw.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := fw.Write(f.data); err != nil {
			return err
		}
	}
	return zw.Close()
}

// gzipped compresses a text as Debian wants manual pages and changelogs: best, without name and time.
func gzipped(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	gz, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := gz.Write(data); err != nil {
		return nil, err
	}
	if err := gz.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
