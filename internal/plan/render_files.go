// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/render"
	"github.com/meshfed/meshfed/topology"
)

// kustomization is the file by which kustomize, and Argo CD with it, finds a cluster's manifests.
const kustomization = "kustomization.yaml"

// Files are the manifests as files, with a kustomization for each cluster and a README that
// says in which order they are applied, what is not among them, and how that is made by hand.
// The same rendering gives the same bytes.
func (r Rendering) Files(m *Mesh) ([]render.File, error) {
	var files []render.File
	listed := map[string][]string{}
	for _, manifest := range r.Manifests {
		data, err := manifest.yaml(m.Topology)
		if err != nil {
			return nil, err
		}
		files = append(files, render.File{Path: manifest.Path(), Data: data})
		listed[manifest.Cluster] = append(listed[manifest.Cluster], strings.TrimPrefix(manifest.Path(), manifest.Cluster+"/"))
	}
	for _, name := range m.Selected() {
		if len(listed[name]) == 0 {
			continue
		}
		var text strings.Builder
		text.WriteString(rendered(m.Topology, "every manifest of "+name))
		text.WriteString("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n")
		for _, path := range listed[name] {
			text.WriteString("- " + path + "\n")
		}
		files = append(files, render.File{Path: name + "/" + kustomization, Data: []byte(text.String())})
	}
	return append(files, render.File{Path: "README.md", Data: []byte(r.readme(m))}), nil
}

// rendered is the comment that each file begins with.
func rendered(t *topology.Topology, what string) string {
	return "# " + what + " in topology " + t.Metadata.Name + ". Written by meshfed render; edits are lost when it runs again.\n"
}

func (m Manifest) yaml(t *topology.Topology) ([]byte, error) {
	var text bytes.Buffer
	text.WriteString(rendered(t, m.Name+" of "+m.Cluster))
	for _, u := range m.Objects {
		data, err := yaml.Marshal(u.Object)
		if err != nil {
			return nil, fmt.Errorf("writing %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		text.WriteString("---\n")
		text.Write(data)
	}
	return text.Bytes(), nil
}

// stages lists a cluster's stages in order.
func (r Rendering) stages(cluster string) []string {
	var stages []string
	for _, m := range r.Manifests {
		if m.Cluster == cluster && !slices.Contains(stages, m.Stage) {
			stages = append(stages, m.Stage)
		}
	}
	return stages
}

// has says whether a cluster has a file of that name.
func (r Rendering) has(cluster, name string) bool {
	return slices.ContainsFunc(r.Manifests, func(m Manifest) bool { return m.Cluster == cluster && m.Name == name })
}

// workloads are the Deployments and DaemonSets of a stage as kubectl names them, by namespace.
func (r Rendering) workloads(cluster, stage string) (all [][2]string) {
	for _, m := range r.Manifests {
		if m.Cluster != cluster || m.Stage != stage {
			continue
		}
		for _, u := range m.Objects {
			if kind := u.GetKind(); kind == "Deployment" || kind == "DaemonSet" {
				all = append(all, [2]string{u.GetNamespace(), strings.ToLower(kind) + "/" + u.GetName()})
			}
		}
	}
	return all
}
