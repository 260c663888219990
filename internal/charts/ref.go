// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// ociScheme begins the names of chart repositories that are image registries.
const ociScheme = "oci://"

// mirrorPath is where a bundle that is pushed to a mirror puts its charts.
const mirrorPath = "charts"

// Names of Istio's charts, as they are published.
const (
	Base    = "base"
	Istiod  = "istiod"
	Gateway = "gateway"
)

// IstioNames lists them in the order in which they are installed.
func IstioNames() []string { return []string{Base, Istiod, Gateway} }

// Ref names a chart in a repository.
type Ref struct {
	// Repository is oci://host/path, or the URL of a folder that has an index.yaml.
	Repository string
	// Name and Version of the chart; the version has no leading v.
	Name, Version string
	// Plain says that the repository is a registry that is spoken to without TLS although it is
	// not on a loopback address.
	Plain bool
}

// MetalLB is where MetalLB's chart comes from when there is no bundle: the mirror, else where
// MetalLB publishes it.
func MetalLB(t *topology.Topology) Ref {
	ref := Ref{Repository: images.ChartRepository, Name: "metallb", Version: strings.TrimPrefix(images.MetalLB, "v")}
	if mirror := images.Mirror(t); mirror != "" {
		_, _, ref.Plain = t.MirrorHost()
		ref.Repository = OnMirror(mirror)
	}
	return ref
}

// OnMirror is the chart repository that a mirror of images has beside them.
func OnMirror(mirror string) string { return ociScheme + mirror + "/" + mirrorPath }

// Istio are Istio's charts in the repository that a topology names; none when it names none.
func Istio(t *topology.Topology) []Ref {
	repository := t.Spec.Istio.Charts.Repository
	if repository == "" {
		return nil
	}
	var refs []Ref
	host, _, plain := t.MirrorHost()
	for _, name := range IstioNames() {
		ref := Ref{Repository: repository, Name: name, Version: t.IstioRelease()}
		ref.Plain = plain && ref.host() == host
		refs = append(refs, ref)
	}
	return refs
}

// DefaultDir is where charts are kept that were fetched: $XDG_CACHE_HOME/meshfed/charts.
func DefaultDir() string { return filepath.Join(CacheHome(), "meshfed", "charts") }

// CacheHome is the folder of this user below which charts, bundles and what they are made from
// are kept: $XDG_CACHE_HOME wherever that is an absolute path, else the system's own.
func CacheHome() string { return cacheHome(runtime.GOOS, os.Getenv) }

// cacheHome is not os.UserCacheDir, which does not know the variable on macOS, and elsewhere
// fails where the XDG specification has a relative path ignored.
func cacheHome(goos string, getenv func(string) string) string {
	home := getenv("HOME")
	switch dir := getenv("XDG_CACHE_HOME"); {
	case filepath.IsAbs(dir):
		return dir
	case !filepath.IsAbs(home):
		return filepath.Join(os.TempDir(), "cache")
	case goos == "darwin":
		return filepath.Join(home, "Library", "Caches")
	}
	return filepath.Join(home, ".cache")
}

// oci says whether the repository is an image registry.
func (r Ref) oci() bool { return strings.HasPrefix(r.Repository, ociScheme) }

// image is the chart's name as an image registry has it.
func (r Ref) image() string {
	return strings.TrimSuffix(strings.TrimPrefix(r.Repository, ociScheme), "/") + "/" + r.Name + ":" + r.Version
}

// host of the repository, with its port.
func (r Ref) host() string {
	_, rest, found := strings.Cut(r.Repository, "://")
	if !found {
		rest = r.Repository
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// path of the chart on its host, without its version.
func (r Ref) path() string {
	return strings.TrimSuffix(strings.TrimPrefix(r.image(), r.host()+"/"), ":"+r.Version)
}

// options are how its registry is spoken to.
func (r Ref) options() registry.Options {
	if r.Plain {
		return registry.Options{Plain: []string{r.host()}}
	}
	return registry.Options{}
}
