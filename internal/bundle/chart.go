// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// chartFile is MetalLB's chart in its cache folder and in the bundle.
const chartFile = "metallb-" + MetalLBVersion + ".tgz"

// packChart makes a chart archive of the chart that lies in MetalLB's module. Its dependency on
// frr-k8s goes: it serves BGP, and only adds definitions that nobody uses.
func packChart(from, dir string) error {
	f, err := os.Create(filepath.Join(dir, chartFile))
	if err != nil {
		return fmt.Errorf("packing a chart: %w", err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	t := tar.NewWriter(z)
	content, err := chartTree(os.DirFS(from))
	if err != nil {
		return fmt.Errorf("packing a chart: %w", err)
	}
	for _, step := range []func() error{func() error { return content.write(t) }, t.Close, z.Close, f.Close} {
		if err := step(); err != nil {
			return fmt.Errorf("packing a chart: %w", err)
		}
	}
	return nil
}

func chartTree(files fs.FS) (*tree, error) {
	t := newTree()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".rego") ||
			name == "Chart.lock" || strings.HasPrefix(name, "charts/frr-k8s") {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if name == "Chart.yaml" {
			if data, err = dropDependency(data, "frr-k8s"); err != nil {
				return err
			}
		}
		t.put(path.Join("metallb", name), 0o644, data)
		return nil
	})
	return t, err
}

// dropDependency takes one entry out of a chart's list of dependencies, line by line: the rest of
// the file stays as its authors wrote it.
func dropDependency(chart []byte, name string) ([]byte, error) {
	var kept []string
	dropping, found := false, false
	for line := range strings.SplitAfterSeq(string(chart), "\n") {
		if strings.HasPrefix(line, "- ") {
			dropping = strings.TrimSpace(line) == "- name: "+name
			found = found || dropping
		} else if !strings.HasPrefix(line, " ") {
			dropping = false
		}
		if !dropping {
			kept = append(kept, line)
		}
	}
	if !found {
		return nil, fmt.Errorf("the chart has no dependency %s", name)
	}
	return []byte(strings.Join(kept, "")), nil
}
