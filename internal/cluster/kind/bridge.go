// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/poll"
)

const (
	// bridgePath is the CNI configuration; the first file of the folder in order is used.
	bridgePath = "/etc/cni/net.d/10-meshfed.conflist"
	// nodeBits is how the controller manager cuts an IPv4 pod subnet for the nodes: its flag
	// node-cidr-mask-size-ipv4, which nobody sets here.
	nodeBits = 24
	// cidrDeadline bounds the wait for the pod subnets of nodes that have just joined.
	cidrDeadline = 60 * time.Second
)

// routed says whether the pods of a cluster's nodes reach each other by routes of ours.
func routed(s cluster.Spec) bool { return s.BridgeCNI && len(nodes(s)) > 1 }

// bridge gives every node a bridge for the pods of its own subnet, and routes to the subnets
// of the others at the addresses in the record. It completes the record and is idempotent;
// routes do not outlive a restart of the node.
func (p *Provider) bridge(ctx context.Context, r record) error {
	subnets, err := p.podSubnets(ctx, r.Spec)
	if err != nil {
		return err
	}
	for name, n := range r.Nodes {
		n.Pods = subnets[name]
		r.Nodes[name] = n
	}
	return onEach(nodeNames(r.Spec), func(node string) error {
		var routes strings.Builder
		for _, other := range peerRoutes(r, node) {
			fmt.Fprintf(&routes, " && ip route replace %s", other)
		}
		return p.writeBridge(ctx, node, r.Nodes[node].Pods, routes.String())
	})
}

// peerRoutes lists what a node must know of the others: "10.10.1.0/24 via 10.90.0.3".
func peerRoutes(r record, node string) []string {
	var routes []string
	for _, name := range nodeNames(r.Spec) {
		if other := r.Nodes[name]; name != node && other.Pods.IsValid() && other.Address.IsValid() {
			routes = append(routes, fmt.Sprintf("%s via %s", other.Pods, other.Address))
		}
	}
	return routes
}

// unrouted says which node does not know how to reach the pods of another where that one is
// now, or nothing.
func (p *Provider) unrouted(ctx context.Context, r record, list []cluster.Container) string {
	if !routed(r.Spec) {
		return ""
	}
	now := record{Spec: r.Spec, Nodes: map[string]nodeRecord{}}
	for _, c := range list {
		now.Nodes[c.Name] = nodeRecord{Address: c.Networks[p.network], Pods: r.Nodes[c.Name].Pods}
	}
	err := onEach(nodeNames(r.Spec), func(node string) error {
		out, err := p.exec(ctx, node, "ip", "-4", "route", "show")
		if err != nil {
			return fmt.Errorf("%s does not say its routes: %w", node, err)
		}
		for _, route := range peerRoutes(now, node) {
			if !strings.Contains(out+" ", route+" ") {
				return fmt.Errorf("%s has no route %s to the pods there", node, route)
			}
		}
		return nil
	})
	if err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return ""
}

// bridgeEarly does the same for a cluster of one node as soon as its container runs, so that the
// kubelet finds pod networking when it first looks; it looks again only after 5 s. The subnet of
// the first node is the first /24 of the cluster's.
func (p *Provider) bridgeEarly(ctx context.Context, s cluster.Spec) error {
	pods, err := netip.ParsePrefix(s.PodSubnet)
	if err != nil {
		return fmt.Errorf("reading the pod subnet: %w", err)
	}
	return p.writeBridge(ctx, nodeNames(s)[0], netip.PrefixFrom(pods.Masked().Addr(), max(pods.Bits(), nodeBits)), "")
}

// writeBridge writes the CNI configuration of one node and runs what comes after it.
func (p *Provider) writeBridge(ctx context.Context, node string, subnet netip.Prefix, after string) error {
	script := fmt.Sprintf("cat > %[1]s.new && mv %[1]s.new %[1]s", bridgePath) + after
	err := p.feed(ctx, node, bridgeConfig(subnet), script)
	if err != nil {
		return fmt.Errorf("setting up pod networking on %s: %w", node, err)
	}
	return nil
}

// podSubnets waits until the controller manager has given every node a subnet for its pods.
func (p *Provider) podSubnets(ctx context.Context, s cluster.Spec) (map[string]netip.Prefix, error) {
	var subnets map[string]netip.Prefix
	want := len(nodes(s))
	err := poll.Until(ctx, poll.Options{What: "the pod subnets of " + s.Name, Interval: 200 * time.Millisecond, Deadline: cidrDeadline},
		func(ctx context.Context) (bool, string, error) {
			out, err := p.exec(ctx, controlPlanes(s)[0], "kubectl", "--kubeconfig="+adminConf, "get", "nodes", "--output=json")
			if err == nil {
				subnets, err = parseNodes([]byte(out))
			}
			return len(subnets) == want, fmt.Sprintf("%d of %d nodes have one", len(subnets), want), err
		})
	return subnets, err
}

// parseNodes picks the pod subnets from a NodeList, by the names of the nodes.
func parseNodes(data []byte) (map[string]netip.Prefix, error) {
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ PodCIDR string }
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading nodes: %w", err)
	}
	subnets := map[string]netip.Prefix{}
	for _, item := range list.Items {
		if subnet, err := netip.ParsePrefix(item.Spec.PodCIDR); err == nil {
			subnets[item.Metadata.Name] = subnet
		}
	}
	return subnets, nil
}

// bridgeConfig is the CNI configuration of one node.
func bridgeConfig(subnet netip.Prefix) string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "meshfed",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, subnet)
}
