// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registryhost

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	helmregistry "helm.sh/helm/v4/pkg/registry"
	repo "helm.sh/helm/v4/pkg/repo/v1"
	"sigs.k8s.io/yaml"
)

// WriteChart packs a chart's files into dir as NAME-VERSION.tgz, under that name and version as
// a release does, and brings dir's index.yaml up to date.
func WriteChart(dir string, files fs.FS, name, version string) error {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	err := fs.WalkDir(files, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, file)
		if err == nil && file == "Chart.yaml" {
			data, err = released(data, name, version)
		}
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: path.Join(name, file), Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	for _, step := range []func() error{w.Close, z.Close} {
		if cerr := step(); err == nil {
			err = cerr
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+"-"+version+".tgz"), packed.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("packing chart %s: %w", name, err)
	}
	index, err := repo.IndexDirectory(dir, "")
	if err != nil {
		return fmt.Errorf("making a chart index: %w", err)
	}
	index.SortEntries()
	return index.WriteFile(filepath.Join(dir, "index.yaml"), 0o644)
}

// released sets what Istio's release builder sets.
func released(data []byte, name, version string) ([]byte, error) {
	meta := map[string]any{}
	if err := yaml.Unmarshal(data, &meta); err != nil {
		return nil, err
	}
	meta["name"], meta["version"], meta["appVersion"] = name, version, version
	return yaml.Marshal(meta)
}

// PushChart pushes a packed chart to oci://ADDR/PATH.
func (h *Host) PushChart(ctx context.Context, path, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("pushing a chart: %w", err)
	}
	user, password, _ := strings.Cut(h.auth, ":")
	options := []helmregistry.ClientOption{
		helmregistry.ClientOptPlainHTTP(), helmregistry.ClientOptWriter(io.Discard),
		helmregistry.ClientOptCredentialsFile(filepath.Join(h.Charts, "no-logins.json")),
	}
	if h.auth != "" {
		options = append(options, helmregistry.ClientOptBasicAuth(user, password))
	}
	c, err := helmregistry.NewClient(options...)
	if err != nil {
		return fmt.Errorf("pushing a chart: %w", err)
	}
	base := strings.TrimSuffix(filepath.Base(file), ".tgz")
	name, version, _ := strings.Cut(base, "-")
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := c.Push(data, h.Addr+"/"+path+"/"+name+":"+version); err != nil {
		return fmt.Errorf("pushing chart %s: %w", name, err)
	}
	return nil
}
