// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
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
// not on our network, or on a shared one and not proven ours, are someone else's: an
// ErrForeign.
func (p *Provider) nodes(ctx context.Context, name string) ([]cluster.Container, error) {
	list, err := cluster.Containers(ctx, p.engine, "name="+nodePattern(name))
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.Labels[clusterLabel] != name || !c.On(p.network) {
			return nil, foreign(c.Name, "it is not on container network "+p.network)
		}
	}
	if len(list) == 0 || !p.Shared {
		return list, nil
	}
	ours, err := p.proven(ctx, name, list)
	if err == nil && !ours {
		err = foreign(list[0].Name, "nothing here or in it says that we made it, and container network "+p.network+" is everybody's")
	}
	return list, err
}

func foreign(container, why string) error {
	return diag.Hint(fmt.Errorf("container %s exists and is %w: %s", container, cluster.ErrForeign, why),
		"choose another metadata.name, or remove that cluster yourself")
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

// remove removes the containers and volumes of a cluster that is ours, what a killed process
// left of making it, and last what proves that it is ours.
func (p *Provider) remove(ctx context.Context, name string) error {
	list, err := p.nodes(ctx, name)
	if err != nil {
		return err
	}
	volumes, err := p.volumes(ctx, name, len(list) > 0)
	if err != nil {
		return err
	}
	if err := p.removeContainers(ctx, list); err != nil {
		return err
	}
	if err := os.RemoveAll(p.scratch(name)); err != nil {
		return err
	}
	for _, v := range volumes {
		// Without --force: one that a container still uses is not ours to remove.
		if _, err := p.engine.Run(ctx, "volume", "rm", v); err != nil {
			return fmt.Errorf("removing volume %s: %w", v, err)
		}
	}
	return p.forget(name)
}

// volumes lists the volumes that kind made for /var of the nodes: with podman their label's key
// is the node's name, and kind makes them before the container, so they may be all that is left;
// with Docker they go with the containers. On a shared network they are ours when the cluster
// is, or when it was being made.
func (p *Provider) volumes(ctx context.Context, name string, ours bool) ([]string, error) {
	if _, intended := p.intended(name); p.Shared && !ours && !intended {
		return nil, nil
	}
	list, err := cluster.Volumes(ctx, p.engine)
	if err != nil {
		return nil, err
	}
	node, err := regexp.Compile(nodePattern(name))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range list {
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
// reach it: by the name of the node where the network's DNS serves names, which node's own DNS
// and with it CoreDNS ask; the API's certificate holds that name. Else by the address of now,
// which may change when a container is started again.
func (p *Provider) InternalServer(ctx context.Context, name string) (string, error) {
	c, err := p.endpoint(ctx, name)
	if err != nil {
		return "", err
	}
	n, err := cluster.InspectNetwork(ctx, p.engine, p.network)
	if err != nil {
		return "", err
	}
	if n.DNS {
		return "https://" + net.JoinHostPort(c.Name, strconv.Itoa(apiPort)), nil
	}
	addr := c.Networks[p.network]
	if !addr.IsValid() {
		return "", diag.Hint(fmt.Errorf("container %s has no address on %s: it is %s", c.Name, p.network, c.State), "meshfed up starts it again")
	}
	return "https://" + netip.AddrPortFrom(addr, apiPort).String(), nil
}
