// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/charts"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// images are the names under which a cluster's images are published.
func (m *Mesh) images(name string) images.Set {
	return images.Published(m.Topology, m.kubernetes(name))
}

// settings are what the images at hand ask for; zero where none are.
func (m *Mesh) settings() bundle.Settings {
	switch {
	case m.Bundle != nil:
		return m.Bundle.Settings
	case m.Registry != nil:
		return m.Registry.Settings
	}
	return bundle.Settings{}
}

// nodeImageOf is the image that a cluster's nodes are made from; empty where there is nothing
// to make clusters from.
func (m *Mesh) nodeImageOf(name string) string {
	switch {
	case m.Bundle != nil:
		if b, ok := m.Bundle.For(m.kubernetes(name)); ok {
			return b.NodeImage
		}
	default:
		if nodes := m.fetched(); nodes != nil {
			if b, ok := nodes.For(m.kubernetes(name)); ok {
				return b.NodeImage
			}
		}
	}
	return ""
}

// fetched holds the node images that were fetched because there is no bundle; nil before.
func (m *Mesh) fetched() *bundle.Bundle {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodes
}

// kubernetes is the release or node image that the file names for a cluster; empty for none.
func (m *Mesh) kubernetes(name string) string {
	if kind := m.Topology.Cluster(name).Provider.Kind; kind != nil {
		return kind.Kubernetes
	}
	return ""
}

// CheckBundle refuses a bundle that does not hold what the file names: another Kubernetes, or
// the images of another registry. It does not block.
func (m *Mesh) CheckBundle() error {
	if m.Bundle == nil {
		return nil
	}
	if m.Bundle.ProbeImage() == "" && m.Topology.Spec.Verify.Probe.Image == "" {
		if !bundle.CanBuildProbe() {
			return diag.Hint(fmt.Errorf("the image bundle %s has no probe, and there is no Go toolchain on this host to build it", m.Bundle.Dir),
				"install Go, or name a probe image in spec.verify.probe.image")
		}
		m.BuildProbe = true
	}
	arch, err := m.Bundle.Architecture()
	if err != nil {
		return err
	}
	if m.Facts.Arch != "" && arch != m.Facts.Arch {
		return diag.Hint(fmt.Errorf("the image bundle %s is for %s, and %s runs %s", m.Bundle.Dir, arch, m.Engine.Name(), m.Facts.Arch),
			"fetch images for this engine: `meshfed bundle pull`")
	}
	for _, name := range m.made() {
		want := m.images(name)
		if _, ok := m.Bundle.For(m.kubernetes(name)); !ok {
			return diag.Hint(fmt.Errorf("cluster %s asks for Kubernetes %s, and the image bundle %s has %s", name, m.kubernetes(name), m.Bundle.Dir, m.Bundle.Kubernetes),
				"remove provider.kind.kubernetes, or fetch what the file names: `meshfed bundle pull`")
		}
		if !m.Bundle.Has(want.Pilot) {
			return diag.Hint(fmt.Errorf("the image bundle %s does not hold %s, which the topology names", m.Bundle.Dir, want.Pilot),
				"fetch what the file names into a bundle: `meshfed bundle pull`; or remove spec.images.mirror")
		}
	}
	return nil
}

// AskRegistries asks for every image that the selected clusters name, and keeps what the
// images say of themselves. It blocks for at most some seconds and is idempotent. Only
// clusters that are still to be made need it.
func (m *Mesh) AskRegistries(ctx context.Context) error {
	if m.Registry != nil {
		return nil
	}
	var refs []string
	probe := ""
	for _, name := range m.made() {
		set := m.images(name)
		probe, set.Probe = set.Probe, ""
		refs = append(refs, set.List()...)
	}
	slices.Sort(refs)
	options := registry.Options{Platform: m.platform(), Answer: m.answer}
	if host, _, plain := m.Topology.MirrorHost(); plain {
		options.Plain = []string{host}
	}
	found, err := registry.Check(ctx, slices.Compact(refs), options)
	if err != nil {
		return fmt.Errorf("looking for the images in their registry: %w", err)
	}
	if m.Topology.Spec.Verify.Probe.Image == "" {
		if _, err := registry.Check(ctx, []string{probe}, options); err != nil {
			// Nobody publishes the probe of a program that was not released.
			if ctx.Err() != nil || !bundle.CanBuildProbe() {
				return fmt.Errorf("looking for the probe's image in its registry: %w", err)
			}
			m.BuildProbe = true
		}
	}
	m.Registry = &found
	return nil
}

// platform is that of the nodes; empty, which stands for this processor's, where the engine does
// not say.
func (m *Mesh) platform() string {
	if m.Facts.Arch == "" {
		return ""
	}
	return "linux/" + m.Facts.Arch
}

// ResolveCharts finds Istio's charts where the file says that they are, so that no look asks
// the network. It blocks for some seconds when they have to be fetched, and is idempotent.
func (m *Mesh) ResolveCharts(ctx context.Context) error {
	var held func(name, version string) (string, bool)
	if m.Bundle != nil {
		held = m.Bundle.HasChart
	}
	found, err := charts.Fetcher{}.Resolve(ctx, m.Topology, held)
	m.charts = found
	return err
}

// metallbChart is the path of MetalLB's chart: the bundle's, or one that is fetched and kept.
func (m *Mesh) metallbChart(ctx context.Context) (string, error) {
	if m.Bundle != nil {
		return m.Bundle.Chart("metallb")
	}
	path, err := charts.Fetch(ctx, charts.MetalLB(m.Topology))
	return path, diag.Hint(err, "`meshfed bundle pull` or `meshfed bundle build` keeps the chart with the images")
}

// localProbe brings the probe, compiled on this host, into the nodes of one cluster.
type localProbe struct {
	m    *Mesh
	name string
}

func (l localProbe) Look(ctx context.Context) (graph.Change, error) {
	status, err := l.m.Provider.Look(ctx, l.m.kindSpec(l.name))
	if err != nil {
		return graph.Change{}, err
	}
	if status.State != cluster.Ready {
		return graph.Change{Action: graph.Create, Reason: "the cluster does not exist yet"}, nil
	}
	have, err := l.m.Provider.Images(ctx, l.m.Topology.KindName(l.name))
	if err != nil || slices.Contains(have, l.m.builtProbe(l.name)) {
		return graph.Change{Action: graph.None}, err
	}
	return graph.Change{Action: graph.Create, Reason: "no registry has " + l.m.builtProbe(l.name)}, nil
}

func (l localProbe) Do(ctx context.Context, _ graph.Change) error {
	graph.State(ctx, "compiling the probe")
	archive, err := bundle.BuildProbe(ctx, l.m.builtProbe(l.name), cmp.Or(l.m.Facts.Arch, runtime.GOARCH))
	if err != nil {
		return err
	}
	return l.m.Provider.LoadImages(ctx, l.m.Topology.KindName(l.name), func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive)), nil
	})
}

// builtProbe is what a probe that was compiled here is called: as the published one, without
// the digest that only that one has.
func (m *Mesh) builtProbe(name string) string {
	tagged, _, _ := strings.Cut(m.images(name).Probe, "@")
	return tagged
}

// importsImages says whether the bundle's images have to be brought into the nodes: the node
// image does not have them, or has them under other names than the file's mirror.
func (m *Mesh) importsImages() bool {
	return m.Bundle != nil && (!m.Bundle.Settings.ImagesInNode || m.Topology.Spec.Images.Mirror != "")
}

// outdatedProbe says whether a live cluster has the probe of an earlier bundle: an older one can
// not do all that this program asks of it. The cluster's other images stay.
func (m *Mesh) outdatedProbe(name string) bool {
	r := m.record(name)
	return r != nil && m.outdated(name, r)
}

func (m *Mesh) outdated(name string, r *record) bool {
	if m.Bundle == nil || m.Bundle.ProbeImage() == "" || m.Topology.Cluster(name).IsExisting() {
		return false
	}
	return strings.HasPrefix(r.probe, bundle.ProbeRepository+":") && r.probe != m.Bundle.ProbeImage()
}

// loadImages brings the bundle's images into the nodes of one cluster, where the node image
// does not have them.
type loadImages struct {
	m    *Mesh
	name string
}

func (l loadImages) names() []string {
	if !l.m.importsImages() {
		return []string{l.m.Bundle.ProbeImage()}
	}
	set := l.m.images(l.name)
	switch own := l.m.Topology.Spec.Verify.Probe.Image; {
	case own == "":
		set.Probe = l.m.Bundle.ProbeImage() // a bundle calls it after its source, not after a release
	case !l.m.Bundle.Has(own):
		set.Probe = "" // nodes pull it, or it was loaded
	}
	return set.Workloads()
}

// Look does not ask the API server: the images are in the nodes' containerd.
func (l loadImages) Look(ctx context.Context) (graph.Change, error) {
	status, err := l.m.Provider.Look(ctx, l.m.kindSpec(l.name))
	if err != nil {
		return graph.Change{}, err
	}
	if status.State != cluster.Ready {
		return graph.Change{Action: graph.Create, Reason: "the cluster does not exist yet"}, nil
	}
	missing, err := l.missing(ctx)
	if err != nil || len(missing) == 0 {
		return graph.Change{Action: graph.None}, err
	}
	return graph.Change{Action: graph.Create, Reason: strings.Join(missing, ", ")}, nil
}

func (l loadImages) missing(ctx context.Context) ([]string, error) {
	have, err := l.m.Provider.Images(ctx, l.m.Topology.KindName(l.name))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(l.names(), func(name string) bool { return slices.Contains(have, name) }), nil
}

func (l loadImages) Do(ctx context.Context, _ graph.Change) error {
	missing, err := l.missing(ctx)
	if err != nil || len(missing) == 0 {
		return err
	}
	graph.State(ctx, "importing %d images", len(missing))
	var mu sync.Mutex
	var damaged error
	err = l.m.Provider.LoadImages(ctx, l.m.Topology.KindName(l.name), func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			err := l.m.Bundle.Archive(ctx, w, missing...)
			if err != nil && !errors.Is(err, io.ErrClosedPipe) {
				mu.Lock()
				damaged = err
				mu.Unlock()
			}
			_ = w.CloseWithError(err)
		}()
		return r, nil
	})
	mu.Lock()
	defer mu.Unlock()
	if err != nil && damaged != nil {
		return damaged // what reads the archive only sees that it ends too early
	}
	return err
}

// registries says where the nodes find a mirror that this host has on a loopback address, or
// that is spoken to without TLS. Nodes have a loopback interface of their own; this host is
// their network's gateway.
func (m *Mesh) registries(ctx context.Context) ([]cluster.Registry, error) {
	host, _, plain := m.Topology.MirrorHost()
	if host == "" || !plain {
		return nil, nil
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, "80"
	}
	server := "http://" + host
	if topology.IsLoopback(name) {
		network, err := cluster.InspectNetwork(ctx, m.Engine, m.Topology.NetworkName())
		switch {
		case m.Facts.Remote:
			server = "http://" + net.JoinHostPort("host.docker.internal", port)
		case errors.Is(err, cluster.ErrNoNetwork):
			return nil, diag.Hint(fmt.Errorf("nodes reach the mirror %s at the gateway of their network, which does not exist yet: %w", host, err),
				fmt.Sprintf("make it first: %s network create %s", m.Engine.Name(), m.Topology.NetworkName()))
		case err != nil:
			return nil, diag.Op(err, "", "finding out how nodes reach "+host)
		case !network.Gateway.IsValid():
			return nil, diag.Hint(fmt.Errorf("nodes can not reach %s: container network %s has no gateway", host, network.Name),
				"name the registry by an address that containers reach")
		default:
			server = "http://" + net.JoinHostPort(network.Gateway.String(), port)
		}
	}
	return []cluster.Registry{{Host: host, Server: server}}, nil
}

// ours says whether an address is one of this host's now. Podman makes the bridge of a network,
// and with it the gateway's address, only for the first container.
func ours(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	want, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	have, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(have, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && (prefix.Addr() == want || want.IsLoopback())
	})
}

// reachable refuses registries of this host that listen on loopback alone, where no node can
// reach them: pods would wait for their images until the end of their step.
func (m *Mesh) reachable(ctx context.Context, list []cluster.Registry) error {
	for _, r := range list {
		at := strings.TrimPrefix(r.Server, "http://")
		if m.Facts.Remote || at == r.Host || !ours(at) {
			continue
		}
		connection, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", at)
		if err != nil {
			return diag.Hint(fmt.Errorf("nodes reach the mirror %s at %s, and nothing answers there: %w", r.Host, at, err),
				"let the registry listen on all addresses of this host, not on loopback alone")
		}
		if err := connection.Close(); err != nil {
			return err
		}
	}
	return nil
}

// fetchNodeImages fetches, past the engine and so with the same answers on every engine, the
// node images that the file names, and loads them. What was fetched is kept for the next time.
func (m *Mesh) fetchNodeImages(ctx context.Context) error {
	dir := filepath.Join(filepath.Dir(bundle.DefaultDir()), "nodes", m.Topology.Metadata.Name)
	fetched, err := bundle.Pull(ctx, bundle.PullOptions{
		Dir: dir, Topology: m.Topology, NodeOnly: true, Platform: m.platform(),
		Observe: func(p bundle.Progress) {
			if !p.Finished && p.Detail != "" {
				graph.State(ctx, "%s: %s", p.Item, p.Detail)
			}
		},
	})
	if err != nil {
		return err
	}
	if err := m.loadNodeImages(ctx, fetched); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = fetched
	return nil
}

// loadNodeImages brings the node images that the file asks for into the engine.
func (m *Mesh) loadNodeImages(ctx context.Context, from *bundle.Bundle) error {
	for _, b := range m.nodeBundles(from) {
		graph.State(ctx, "loading %s", b.NodeImage)
		if err := b.LoadNodeImage(ctx, m.Engine); err != nil {
			return err
		}
	}
	return nil
}

// ImagesFrom names the registries that nodes pull from.
func (m *Mesh) ImagesFrom() string {
	var hosts []string
	for _, name := range m.Selected() {
		for _, ref := range m.images(name).List() {
			host, _, _ := strings.Cut(ref, "/")
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return strings.Join(slices.Compact(hosts), ", ")
}

// errNothingToMakeFrom is what a cluster step says where no images are at hand.
var errNothingToMakeFrom = errors.New("there are no images to make a cluster from: no bundle, and registries were not asked")
