// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"istio.io/istio/manifests"

	"github.com/meshfed/meshfed/topology"
)

// Chart says where a Helm chart comes from. Exactly one of FS and File is set.
type Chart struct {
	// FS has the chart's files at its top: Chart.yaml, values.yaml, templates.
	FS fs.FS
	// File is a packaged chart (.tgz) or a chart's directory on disk.
	File string
	// Version replaces the chart's own version and application version when not empty.
	// The charts in Istio's source say 1.0.0; its release builder sets the real one.
	Version string
}

// istioChart is one of the charts that istio.io/istio embeds, by its folder.
func istioChart(folder string) (Chart, error) {
	files, err := fs.Sub(manifests.FS, "charts/"+folder)
	if err != nil {
		return Chart{}, fmt.Errorf("opening the built-in chart %s: %w", folder, err)
	}
	return Chart{FS: files, Version: topology.IstioVersion}, nil
}

// chartName is how a chart is published that lies in a folder of Istio's source.
func chartName(folder string) string {
	if folder == "istio-control/istio-discovery" {
		return "istiod"
	}
	return folder
}

// Load reads the chart. Every call reads anew: rendering changes a loaded chart.
func (c Chart) Load() (*chart.Chart, error) {
	files, err := c.files()
	if err != nil {
		return nil, err
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", c.File, err)
	}
	if c.Version != "" {
		loaded.Metadata.Version = c.Version
		loaded.Metadata.AppVersion = c.Version
	}
	return loaded, nil
}

// Digest changes whenever a file of the chart or the version does: 40 hex digits.
func (c Chart) Digest() (string, error) {
	files, err := c.files()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "version %s\n", c.Version)
	for _, f := range files {
		_, _ = fmt.Fprintf(h, "%s %d\n", f.Name, len(f.Data))
		_, _ = h.Write(f.Data)
	}
	return short(h.Sum(nil)), nil
}

// short is how digests are written into labels, which hold at most 63 characters.
func short(sum []byte) string { return hex.EncodeToString(sum)[:40] }

func (c Chart) files() ([]*archive.BufferedFile, error) {
	switch {
	case c.FS != nil:
		return filesOf(c.FS)
	case c.File == "":
		return nil, errors.New("loading a chart: none is named")
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return nil, fmt.Errorf("loading a chart: %w", err)
	}
	if info.IsDir() {
		return filesOf(os.DirFS(c.File))
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("loading a chart: %w", err)
	}
	files, err := archive.LoadArchiveFiles(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpacking chart %s: %w", c.File, err)
	}
	return files, nil
}

// filesOf reads a whole tree, in lexical order.
func filesOf(tree fs.FS) ([]*archive.BufferedFile, error) {
	var files []*archive.BufferedFile
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := tree.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		data, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		files = append(files, &archive.BufferedFile{Name: path, Data: data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading a chart: %w", err)
	}
	return files, nil
}
