// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
)

const (
	// loadDeadline bounds the loading of one archive into one node.
	loadDeadline = 10 * time.Minute
	// atOnce is how many nodes something is done to side by side.
	atOnce = 4
)

// importScript imports the archive on its standard input for the snapshotter of the node; its
// arguments are options.
const importScript = `s=$(sed -n 's/^ *snapshotter = "\([a-z0-9-]*\)".*/\1/p' /etc/containerd/config.toml | head -n 1); ` +
	`exec ctr --namespace=k8s.io images import --snapshotter="${s:-overlayfs}" "$@" -`

// Images lists the names of the images that every node of a cluster has, those that its node
// image brought along included. The cluster must run.
func (p *Provider) Images(ctx context.Context, name string) ([]string, error) {
	all, err := p.images(ctx, name)
	return slices.Sorted(maps.Keys(all)), diag.Op(err, name, "listing its images")
}

// ImageIDs maps the images that every node of a cluster has under the same name to their ids,
// the digests of their configurations. One that a node has loaded only now may be missing.
func (p *Provider) ImageIDs(ctx context.Context, name string) (map[string]string, error) {
	all, err := p.images(ctx, name)
	maps.DeleteFunc(all, func(_, id string) bool { return id == "" })
	return all, diag.Op(err, name, "listing its images")
}

// images maps the names that every node has to ids; those that differ, or are not known, to
// nothing.
func (p *Provider) images(ctx context.Context, name string) (map[string]string, error) {
	list, err := p.running(ctx, name)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var each []map[string]string
	err = onEach(list, func(node string) error {
		out, err := p.exec(ctx, node, "ctr", "--namespace=k8s.io", "images", "list")
		if err != nil {
			return fmt.Errorf("asking %s: %w", node, err)
		}
		mu.Lock()
		defer mu.Unlock()
		each = append(each, parseImages(out))
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := each[0]
	for _, other := range each[1:] {
		for image, id := range all {
			switch theirs, ok := other[image]; {
			case !ok:
				delete(all, image)
			case theirs != id:
				all[image] = ""
			}
		}
	}
	return all, nil
}

// parseImages reads the table of ctr images list: a name, a media type and a digest lead each
// row. Kubernetes' runtime gives each image its id as a further name of the same digest.
func parseImages(table string) map[string]string {
	const name, digest = 0, 2
	ids, digests := map[string]string{}, map[string]string{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) <= digest || !strings.HasPrefix(f[digest], "sha256:") {
			continue
		}
		if strings.HasPrefix(f[name], "sha256:") {
			ids[f[digest]] = f[name]
		} else {
			digests[f[name]] = f[digest]
		}
	}
	for image, d := range digests {
		digests[image] = ids[d]
	}
	return digests
}

// LoadImages reads an archive of images (docker's or OCI's, plain or gzip) into every node of a
// cluster. open is called for each node, several at the same time, and a second time when the
// archive turns out to say nothing of platforms. What had the same name is replaced; nothing is
// kept of the archive in between. The cluster must run.
func (p *Provider) LoadImages(ctx context.Context, name string, open func() (io.ReadCloser, error)) error {
	list, err := p.running(ctx, name)
	if err == nil {
		err = onEach(list, func(node string) error { return p.load(ctx, node, open) })
	}
	return diag.Op(err, name, "loading images")
}

// load reads only what is for the node's platform: archives of Docker name others that they do
// not hold. An image that names no platform counts as none of the node's, until all are taken.
func (p *Provider) load(ctx context.Context, node string, open func() (io.ReadCloser, error)) error {
	ctx, cancel := context.WithTimeout(ctx, loadDeadline)
	defer cancel()
	err := p.importArchive(ctx, node, open)
	if err != nil && strings.Contains(err.Error(), "filtered out") {
		err = p.importArchive(ctx, node, open, "--all-platforms")
	}
	return err
}

func (p *Provider) importArchive(ctx context.Context, node string, open func() (io.ReadCloser, error), options ...string) error {
	archive, err := open()
	if err != nil {
		return fmt.Errorf("opening the archive: %w", err)
	}
	args := append([]string{"exec", "--interactive", node, "sh", "-c", importScript, "import"}, options...)
	err = p.engine.Pipe(ctx, archive, nil, args...)
	if err != nil {
		err = diag.Hint(fmt.Errorf("into %s: %w", node, err), "the archive must be one of `docker save` or an OCI layout, for the node's architecture")
	}
	return errors.Join(err, archive.Close())
}

// running names the nodes of a cluster, all of which must run.
func (p *Provider) running(ctx context.Context, name string) ([]string, error) {
	list, err := p.nodes(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("it does not exist")
	}
	names := make([]string, len(list))
	for i, c := range list {
		if !c.Running() {
			return nil, diag.Hint(fmt.Errorf("container %s is %s", c.Name, c.State), "meshfed up starts it")
		}
		names[i] = c.Name
	}
	return names, nil
}

// Nodes lists the nodes of a cluster in every state, by name.
func (p *Provider) Nodes(ctx context.Context, name string) ([]cluster.NodeStatus, error) {
	list, err := p.nodes(ctx, name)
	if err != nil || len(list) == 0 {
		return nil, diag.Op(err, name, "listing its nodes")
	}
	var r record
	if i := slices.IndexFunc(list, func(c cluster.Container) bool { return isControlPlane(name, c.Name) }); i >= 0 && list[i].State != paused {
		if r, _, err = p.readRecord(ctx, list[i]); err != nil {
			return nil, diag.Op(err, name, "listing its nodes")
		}
	}
	nodes := make([]cluster.NodeStatus, len(list))
	for i, c := range list {
		nodes[i] = cluster.NodeStatus{Name: c.Name, State: c.State, Address: c.Networks[p.network], Recorded: r.Nodes[c.Name].Address}
	}
	return nodes, nil
}

// onEach does something to every node, a few at once, and returns all errors.
func onEach(nodes []string, do func(node string) error) error {
	errs := make([]error, len(nodes))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, node := range nodes {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(node)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
