// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/support"
	"github.com/meshfed/meshfed/internal/version"
)

// bundled is what is said of a support bundle.
type bundled struct {
	Path string `json:"path"`
	// Files and Missing count what is in it, and what could not be had: index.json in it lists both.
	Files   int `json:"files"`
	Missing int `json:"missing"`
	// Bytes of all files before compression.
	Bytes int `json:"bytes"`
}

// told are notes for people; none when no bundle was written.
func (b *bundled) told() []string {
	if b == nil {
		return nil
	}
	text := fmt.Sprintf("%s holds %s, %.1f MB unpacked", b.Path, counted(b.Files, "file"), float64(b.Bytes)/1e6)
	if b.Missing > 0 {
		text += fmt.Sprintf("; %s could not be had, see index.json in it", counted(b.Missing, "thing"))
	}
	return []string{text, "no Secret was read for it, keys and tokens are blotted out; it names your hosts and services: look into it before you send it"}
}

// checkBundle refuses a name that could not be written in the end, before anything is looked at.
func checkBundle(name string) error {
	if name == "" {
		return nil
	}
	if !strings.HasSuffix(name, ".tar.gz") && !strings.HasSuffix(name, ".tgz") {
		return usage(diag.Hint(fmt.Errorf("--bundle %s: it will be a gzipped tar archive", name), "let its name end in .tar.gz"))
	}
	if err := writable("--bundle", name); err != nil {
		return usage(err)
	}
	return nil
}

// writeBundle gathers what there is to see of the clusters, with what was found (written as JSON), the file
// as it was understood, the last proof and the last runs.
func (a *app) writeBundle(ctx context.Context, m *plan.Mesh, clients map[string]*kube.Client, name string, found map[string]any, missing []support.Missing) (*bundled, error) {
	s := support.Sources{Tool: version.Get().String(), Topology: m.Topology.Metadata.Name, Clients: clients, Files: map[string][]byte{}, Runs: m.State.Runs(), Missing: missing}
	for _, c := range m.Selected() {
		if clients[c] == nil {
			s.Missing = append(s.Missing, support.Missing{Cluster: c, What: "everything", Why: "it could not be asked: see findings.json"})
		}
	}
	for path, v := range found {
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("writing %s of the bundle: %w", path, err)
		}
		s.Files[path] = data
	}
	if data, err := yaml.Marshal(m.Topology); err == nil {
		s.Files["topology.yaml"] = data
	}
	if data, err := m.State.LastVerify(); err == nil && len(data) > 0 {
		s.Files["verify.json"] = data
	}
	if !a.quiet {
		s.State = func(text string) { fmt.Fprintln(a.Err, text) }
	}
	index, err := support.Write(ctx, name, s)
	if err != nil {
		return nil, err
	}
	b := &bundled{Path: name, Files: len(index.Files), Missing: len(index.Missing)}
	if absolute, err := filepath.Abs(name); err == nil {
		b.Path = absolute
	}
	for _, f := range index.Files {
		b.Bytes += f.Bytes
	}
	return b, nil
}

// bundleWithout writes a bundle of what this host has, when no cluster could be looked at because of err.
func (a *app) bundleWithout(ctx context.Context, m *plan.Mesh, name string, err error) error {
	if name == "" || ctx.Err() != nil {
		return nil
	}
	b, werr := a.writeBundle(ctx, m, nil, name, nil, []support.Missing{{What: "findings.json", Why: redacted(err).Error()}})
	if werr != nil {
		return werr
	}
	fmt.Fprintln(a.Err, b.told()[0])
	return nil
}
