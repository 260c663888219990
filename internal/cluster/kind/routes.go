// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
)

// Unrouted says which nodes of a cluster do not lead to the pods of another cluster's nodes
// where those are now; pods are the subnets of the other's nodes by name. It changes nothing.
// None is also what it says when all is well.
func (p *Provider) Unrouted(ctx context.Context, name, other string, pods map[string]netip.Prefix) ([]string, error) {
	return p.eachRouted(ctx, name, other, pods, func(node string, routes []string) (string, error) {
		table, err := p.exec(ctx, node, "ip", "-4", "route", "show")
		if err != nil {
			return "", fmt.Errorf("asking %s for its routes: %w", node, err)
		}
		return lacking(node, table, routes), nil
	})
}

// Route makes every node of a cluster lead to the pods of another cluster's nodes, at the
// addresses that those have now. It is idempotent. Routes live in the nodes' network
// namespaces: they go with a node, and with its restart.
//
// The source address of what comes this way is that of the sending node, in the container
// network: the bridge plugin (ipMasq) and kindnet both masquerade what leaves their own
// cluster's pod subnets. So the way back needs no route, and reverse path filters are content.
func (p *Provider) Route(ctx context.Context, name, other string, pods map[string]netip.Prefix) error {
	_, err := p.eachRouted(ctx, name, other, pods, func(node string, routes []string) (string, error) {
		commands := make([]string, len(routes))
		for i, route := range routes {
			commands[i] = "ip -4 route replace " + route
		}
		if _, err := p.exec(ctx, node, "sh", "-c", strings.Join(commands, " && ")); err != nil {
			return "", fmt.Errorf("writing routes to %s into %s: %w", other, node, err)
		}
		return "", nil
	})
	return err
}

// eachRouted does something for every node of a cluster, at once, with the routes that it must
// have, and gathers what it says in the order of the nodes.
func (p *Provider) eachRouted(ctx context.Context, name, other string, pods map[string]netip.Prefix, do func(node string, routes []string) (string, error)) ([]string, error) {
	from, err := p.nodes(ctx, name)
	if err != nil {
		return nil, err
	}
	to, err := p.nodes(ctx, other)
	if err != nil {
		return nil, err
	}
	addresses := map[string]netip.Addr{}
	for _, c := range to {
		addresses[c.Name] = c.Networks[p.network]
	}
	routes, err := podRoutes(pods, addresses)
	if err != nil {
		return nil, diag.Op(err, other, "finding its nodes")
	}
	nodes := routers(from)
	said := make([]string, len(nodes))
	err = onEach(nodes, func(node string) error {
		text, err := do(node, routes)
		said[slices.Index(nodes, node)] = text
		return err
	})
	return slices.DeleteFunc(said, func(s string) bool { return s == "" }), err
}

// routers are the nodes among the containers of a cluster: all but a balancer of its API.
func routers(list []cluster.Container) []string {
	var names []string
	for _, c := range list {
		if !strings.HasSuffix(c.Name, "-external-load-balancer") {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// podRoutes are the routes to the pods of some nodes, "10.20.1.0/24 via 10.90.0.5", in the
// order of the nodes' names.
func podRoutes(pods map[string]netip.Prefix, addresses map[string]netip.Addr) ([]string, error) {
	var routes []string
	for _, node := range slices.Sorted(maps.Keys(pods)) {
		addr := addresses[node]
		if !addr.IsValid() {
			return nil, diag.Hint(fmt.Errorf("node %s has no address on the container network", node), "meshfed up starts nodes that are stopped")
		}
		routes = append(routes, fmt.Sprintf("%s via %s", pods[node], addr))
	}
	return routes, nil
}

// lacking says what a node's routing table lacks, or nothing.
func lacking(node, table string, routes []string) string {
	for _, route := range routes {
		if hasRoute(table, route) {
			continue
		}
		subnet, _, _ := strings.Cut(route, " ")
		for line := range strings.Lines(table) {
			if strings.HasPrefix(line, subnet+" ") {
				return fmt.Sprintf("%s has %s, want %s", node, strings.TrimSpace(line), route)
			}
		}
		return fmt.Sprintf("%s has no route %s", node, route)
	}
	return ""
}

// hasRoute says whether what `ip route show` printed has a route such as
// "10.20.1.0/24 via 10.90.0.5".
func hasRoute(table, route string) bool {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(strings.TrimSpace(line)+" ", route+" ") {
			return true
		}
	}
	return false
}
