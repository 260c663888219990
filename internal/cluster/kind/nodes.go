// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
)

// nodePattern matches the names that kind gives to the containers of a cluster, and nothing of
// a cluster whose name only begins alike.
func nodePattern(name string) string {
	return "^" + regexp.QuoteMeta(name) + "-(control-plane|worker|external-load-balancer)[0-9]*$"
}

// nodes lists the containers of a cluster, in every state. Containers of that name that are
// not on our network are someone else's: an ErrForeign.
func (p *Provider) nodes(ctx context.Context, name string) ([]cluster.Container, error) {
	list, err := cluster.Containers(ctx, p.engine, "name="+nodePattern(name))
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.Labels[clusterLabel] != name || !c.On(p.network) {
			return nil, diag.Hint(fmt.Errorf("container %s exists and is %w: it is not on container network %s",
				c.Name, cluster.ErrForeign, p.network), "choose another metadata.name, or remove that cluster yourself")
		}
	}
	return list, nil
}

// endpoint is the container that publishes the API: the load balancer of several control
// planes, else the control plane.
func (p *Provider) endpoint(ctx context.Context, name string) (cluster.Container, error) {
	list, err := p.nodes(ctx, name)
	if err != nil {
		return cluster.Container{}, err
	}
	i := slices.IndexFunc(list, publishes)
	if i < 0 {
		return cluster.Container{}, fmt.Errorf("no container of cluster %s publishes its API", name)
	}
	return list[i], nil
}

func publishes(c cluster.Container) bool { return c.Ports[apiPort] != 0 }

// hostServer is the URL of the API on this host; empty when no container publishes it.
func hostServer(list []cluster.Container) string {
	i := slices.IndexFunc(list, publishes)
	if i < 0 {
		return ""
	}
	return "https://" + net.JoinHostPort(loopback, strconv.Itoa(list[i].Ports[apiPort]))
}

// remove removes the containers and volumes of a cluster that is ours, and what a killed
// process left of making it.
func (p *Provider) remove(ctx context.Context, name string) error {
	list, err := p.nodes(ctx, name)
	if err != nil {
		return err
	}
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	if err := cluster.RemoveContainers(ctx, p.engine, names...); err != nil {
		return err
	}
	if err := os.RemoveAll(p.scratch(name)); err != nil {
		return err
	}
	return p.removeVolumes(ctx, name)
}

// volumes lists the volumes that kind made for /var of the nodes. Their label's key is the
// node's name; kind makes them before the container, so they may be all that is left.
func (p *Provider) volumes(ctx context.Context, name string) ([]string, error) {
	out, err := p.engine.Run(ctx, "volume", "ls", "--format", "json")
	if err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	return volumesOf(name, []byte(out))
}

func (p *Provider) removeVolumes(ctx context.Context, name string) error {
	volumes, err := p.volumes(ctx, name)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		// Without --force: one that a container still uses is not ours to remove.
		if _, err := p.engine.Run(ctx, "volume", "rm", v); err != nil {
			return fmt.Errorf("removing volume %s: %w", v, err)
		}
	}
	return nil
}

// volumesOf picks the volumes of a cluster's nodes from podman's list.
func volumesOf(name string, list []byte) ([]string, error) {
	var volumes []struct {
		Name   string
		Labels map[string]string
	}
	if err := json.Unmarshal(list, &volumes); err != nil {
		return nil, fmt.Errorf("reading the list of volumes: %w", err)
	}
	node, err := regexp.Compile(nodePattern(name))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range volumes {
		for key := range v.Labels {
			if node.MatchString(key) {
				names = append(names, v.Name)
				break
			}
		}
	}
	return names, nil
}

// InternalServer is the URL of the API as containers on our network and pods of its clusters
// reach it: https://<address of the node>:6443. The address is that of now; it may change when
// a container is started again.
func (p *Provider) InternalServer(ctx context.Context, name string) (string, error) {
	c, err := p.endpoint(ctx, name)
	if err != nil {
		return "", err
	}
	addr := c.Networks[p.network]
	if !addr.IsValid() {
		return "", diag.Hint(fmt.Errorf("container %s has no address on %s: it is %s", c.Name, p.network, c.State), "meshfed up starts it again")
	}
	return "https://" + netip.AddrPortFrom(addr, apiPort).String(), nil
}
