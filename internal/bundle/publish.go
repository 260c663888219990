// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

// publish puts the artefacts together as a bundle in dir, which holds either the old or the new
// bundle, never a mixture.
func (b *builder) publish(dir string) (*Bundle, error) {
	key := hash(b.nodeImage().key, b.componentImages().key, b.chart().key)
	if old, err := Open(dir); err == nil && old.Key == key {
		return old, nil
	}
	return put(dir, func(tmp string) error { return b.gather(tmp, key) })
}

// put makes the bundle in dir of what gather writes into an empty folder.
func put(dir string, gather func(tmp string) error) (*Bundle, error) {
	if err := ours(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("making the bundle's folder: %w", err)
	}
	if err := clearHalves(dir); err != nil {
		return nil, fmt.Errorf("removing a half-made bundle: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), half(dir))
	if err != nil {
		return nil, fmt.Errorf("making the bundle's folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, fmt.Errorf("making the bundle's folder: %w", err)
	}
	if err := gather(tmp); err != nil {
		return nil, fmt.Errorf("putting the bundle together: %w", err)
	}
	// It took a while, in which somebody may have put something there.
	if err := ours(dir); err != nil {
		return nil, err
	}
	if err := swap(tmp, dir); err != nil {
		return nil, fmt.Errorf("putting the bundle in place: %w", err)
	}
	return Open(dir)
}

// half begins the name of the folder beside dir in which a bundle is put together.
func half(dir string) string { return "." + filepath.Base(dir) + unfinished }

// clearHalves removes what killed builds left beside dir: on another disk than the cache each
// is a full copy.
func clearHalves(dir string) error {
	found, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return err
	}
	for _, e := range found {
		if strings.HasPrefix(e.Name(), half(dir)) {
			if err := removeAll(filepath.Join(filepath.Dir(dir), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) gather(dir, key string) error {
	for to, a := range map[string]artefact{imagesDir: b.componentImages(), nodeDir: b.nodeImage(), chartsDir: b.chart()} {
		if err := linkTree(b.cache.path(a), filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	m, err := b.manifest(dir, key)
	if err != nil {
		return err
	}
	return writeManifest(dir, *m)
}

func writeManifest(dir string, m Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFiles(dir, map[string][]byte{manifestFile: append(data, '\n')})
}

// manifest describes what lies in dir.
func (b *builder) manifest(dir, key string) (*Manifest, error) {
	m := &Manifest{
		Created: time.Now().UTC().Truncate(time.Second), Key: key,
		Kubernetes: KubernetesVersion, Istio: IstioVersion, NodeImage: nodeName(b.nodeImage().key),
		Charts:        []Chart{{Name: "metallb", Version: MetalLBVersion, File: chartsDir + "/" + chartFile}},
		Substitutions: []string{substituteEnvoy, substituteCNI},
		Settings:      Settings{UpstreamEnvoy: true, BridgeCNI: true, ImagesInNode: true},
	}
	sourceOf := map[string]string{m.NodeImage: "Debian " + suite + ", " + kindModule + " " + KindVersion + ", Kubernetes " + KubernetesVersion}
	for _, c := range b.images {
		sourceOf[c.name] = c.source
	}
	for _, layout := range []string{nodeDir, imagesDir} {
		images, err := describeImages(filepath.Join(dir, layout))
		if err != nil {
			return nil, err
		}
		slices.SortFunc(images, func(x, y Image) int { return strings.Compare(x.Name, y.Name) })
		for _, i := range images {
			i.Source = sourceOf[i.Name]
			m.Images = append(m.Images, i)
		}
	}
	for _, root := range []artefact{b.nodeRoot(), b.proxyRoot()} {
		packages, err := installed(filepath.Join(b.cache.path(root), rootArchive))
		if err != nil {
			return nil, err
		}
		m.Debian = append(m.Debian, packages...)
	}
	slices.SortFunc(m.Debian, func(x, y Package) int { return strings.Compare(x.Name+" "+x.Version, y.Name+" "+y.Version) })
	m.Debian = slices.Compact(m.Debian)
	return m, nil
}

// swap moves tmp to dir; what dir was goes only when the new one is in place.
func swap(tmp, dir string) error {
	old := tmp + ".old"
	if err := os.Rename(dir, old); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return removeAll(old)
}

// ours refuses whatever is there and is not a bundle and nothing else: it would be lost.
func ours(dir string) error {
	found, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(found) == 0:
		return nil
	case err != nil:
		return diag.Hint(fmt.Errorf("looking at what is in the bundle's folder: %w", err), freshHint)
	}
	for _, e := range found {
		if !bundled(e) {
			return diag.Hint(fmt.Errorf("%s holds %s, which is no part of an image bundle and would be lost", dir, e.Name()), freshHint)
		}
	}
	if m, err := readManifest(dir); err != nil || m.Key == "" {
		return diag.Hint(fmt.Errorf("%s holds files, and no %s that describes an image bundle", dir, manifestFile), freshHint+", or remove it")
	}
	return nil
}

const freshHint = "name a folder that is empty or does not exist"

// bundled says whether a bundle has such an entry, or one that was being written has.
func bundled(e fs.DirEntry) bool {
	switch e.Name() {
	case manifestFile:
		return e.Type().IsRegular()
	case imagesDir, nodeDir, chartsDir:
		return e.IsDir()
	}
	return strings.HasPrefix(e.Name(), unfinished)
}
