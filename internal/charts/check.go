// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// Local finds Istio's charts in the folder that a topology names, by their published names:
// <name>/, <name>-<version>.tgz, or as Istio's release archive has them. Every chart must say
// that it is the topology's release. It is nil when the topology names no folder.
func Local(t *topology.Topology) (map[string]string, error) {
	dir := t.Spec.Istio.Charts.Directory
	if dir == "" {
		return nil, nil
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(t.Dir, dir)
	}
	found := map[string]string{}
	var errs []error
	for _, name := range IstioNames() {
		path, err := local(dir, Ref{Name: name, Version: t.IstioRelease()})
		if err != nil {
			errs = append(errs, fmt.Errorf("chart %s: %w", name, err))
		}
		found[name] = path
	}
	if err := errors.Join(errs...); err != nil {
		return nil, diag.Hint(fmt.Errorf("looking for Istio's charts in %s: %w", dir, err),
			"spec.istio.charts.directory holds the charts base, istiod and gateway of Istio "+t.IstioRelease()+
				", unpacked or as "+Base+"-"+t.IstioRelease()+".tgz; spec.istio.version names another release")
	}
	return found, nil
}

func local(dir string, ref Ref) (string, error) {
	places := []string{ref.Name, ref.Name + "-" + ref.Version + ".tgz", filepath.Join("manifests", "charts", ref.Name)}
	if ref.Name == Istiod {
		places = append(places, "istio-control/istio-discovery", "manifests/charts/istio-control/istio-discovery")
	}
	for _, place := range places {
		path := filepath.Join(dir, place)
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		var meta []byte
		if info.IsDir() {
			if meta, err = os.ReadFile(filepath.Join(path, "Chart.yaml")); err != nil {
				continue
			}
			return path, checkMetadata(meta, ref)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return path, check(data, ref)
	}
	return "", errors.New("it is not there")
}

// check looks into a packed chart: it must be the one that was asked for.
func check(data []byte, ref Ref) error {
	files, err := archive.LoadArchiveFiles(bytes.NewReader(data))
	if err != nil {
		return errors.New("what came is no packed chart")
	}
	for _, f := range files {
		if f.Name == "Chart.yaml" {
			return checkMetadata(f.Data, ref)
		}
	}
	return errors.New("what came is no packed chart: it has no Chart.yaml")
}

func checkMetadata(data []byte, ref Ref) error {
	var meta struct{ Name, Version string }
	if err := yaml.Unmarshal(data, &meta); err != nil {
		return errors.New("its Chart.yaml can not be read")
	}
	// Istio's source calls its charts by other names than its releases do.
	known := meta.Name == ref.Name || ref.Name == Istiod && meta.Name == "istio-discovery"
	if !known || strings.TrimPrefix(meta.Version, "v") != ref.Version {
		return fmt.Errorf("it is chart %s %s, not %s %s", meta.Name, meta.Version, ref.Name, ref.Version)
	}
	return nil
}

// explain says what went wrong with a repository.
func (r Ref) explain(err error) error {
	doing := fmt.Sprintf("fetching chart %s %s from %s", r.Name, r.Version, r.Repository)
	hint := "check spec.istio.charts.repository and spec.istio.version"
	if r.Name == "metallb" {
		hint = "does this host reach it? A bundle has the chart with the images: `meshfed bundle pull`, or `meshfed bundle build`"
	}
	if text := err.Error(); strings.Contains(text, ": not found") || strings.Contains(text, "name unknown") || strings.Contains(text, "manifest unknown") {
		err = &registry.Error{Text: errMissing.Error(), Err: errors.Join(errMissing, err)}
	}
	known := errors.Is(err, errSilent) || errors.Is(err, errMissing) || errors.Is(err, errLie) || strings.HasPrefix(err.Error(), "it ") || strings.HasPrefix(err.Error(), "what came ")
	if !known {
		text, better := r.options().Say(r.host(), err)
		if better != "" {
			hint = better
		}
		err = &registry.Error{Text: text, Err: err}
	}
	return diag.Hint(fmt.Errorf("%s: %w", doing, err), hint)
}
