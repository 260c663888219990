//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/support"
)

// supportBundle lets diagnose gather all that there is to see of a healthy mesh, and hunts in it for the
// keys and tokens that the mesh has.
func supportBundle(t *testing.T, m *mesh) {
	name := filepath.Join(t.TempDir(), "mesh.tar.gz")
	r := m.must("diagnose", "--bundle", name)
	if !strings.Contains(r.stdout, name) || !strings.Contains(r.stdout, "no Secret was read") {
		t.Errorf("the bundle is not told of: %s", r)
	}
	files := untarred(t, name)
	for file, data := range files {
		for i, secret := range m.secrets {
			if strings.Contains(string(data), secret) {
				t.Errorf("secret %d is in %s", i, file)
			}
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(data) {
			t.Errorf("%s is no JSON", file)
		}
	}
	var index support.Index
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	for _, missing := range index.Missing {
		t.Errorf("%s: %s is missing: %s", missing.Cluster, missing.What, missing.Why)
	}
	for pattern, words := range map[string]string{
		"findings.json": `"kind": "Findings"`, "topology.yaml": "name: " + m.name, "verify.json": `"checks"`, "runs/*-up/log": "",
		"clusters/*/secrets.json":                                               `"name": "cacerts"`,
		"clusters/*/objects/namespace.json":                                     "topology.istio.io/network",
		"clusters/*/objects/gateway.networking.istio.io.json":                   "AUTO_PASSTHROUGH",
		"clusters/*/objects/istio-system/configmap.json":                        "meshId",
		"clusters/*/objects/metallb-system/ipaddresspool.metallb.io.json":       `"addresses"`,
		"clusters/*/logs/istio-system/istiod-*/discovery.log":                   "info",
		"clusters/*/pods/istio-system/istiod-*/debug-clusterz.json":             "synced",
		"clusters/*/pods/istio-system/istiod-*/metrics.txt":                     "pilot_xds",
		"clusters/*/pods/istio-system/istio-eastwestgateway-*/config_dump.json": "0.0.0.0_15443",
		"clusters/*/pods/istio-system/istio-eastwestgateway-*/clusters.json":    "cluster_statuses",
	} {
		want, seen := 1, 0
		if strings.HasPrefix(pattern, "clusters/") {
			want = 2 // clusters; one of them has two nodes
		}
		for file, data := range files {
			if ok, err := path.Match(pattern, file); err == nil && ok && strings.Contains(string(data), words) {
				seen++
			}
		}
		if seen < want {
			t.Errorf("%d files %s hold %q, want %d", seen, pattern, words, want)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files in %d bytes, after %.1f s", len(files), info.Size(), r.took.Seconds())
}

// untarred are the files of an archive, without the folder that all are in.
func untarred(t *testing.T, name string) map[string][]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		_, file, _ := strings.Cut(h.Name, "/")
		if files[file], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
