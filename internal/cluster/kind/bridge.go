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

// bridge gives every node a bridge for the pods of its own subnet, and routes to the subnets
// of the others. It is idempotent; routes do not outlive a restart of the node.
func (p *Provider) bridge(ctx context.Context, s cluster.Spec) error {
	list, err := p.podSubnets(ctx, s)
	if err != nil {
		return err
	}
	for _, n := range list {
		var routes strings.Builder
		for _, other := range list {
			if other.name != n.name {
				fmt.Fprintf(&routes, " && ip route replace %s via %s", other.subnet, other.address)
			}
		}
		if err := p.writeBridge(ctx, n.name, n.subnet, routes.String()); err != nil {
			return err
		}
	}
	return nil
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
	err := p.engine.Pipe(ctx, strings.NewReader(bridgeConfig(subnet)), nil, "exec", "--interactive", node, "sh", "-c", script)
	if err != nil {
		return fmt.Errorf("setting up pod networking on %s: %w", node, err)
	}
	return nil
}

// podNode is a node with the subnet that the controller manager gave to its pods.
type podNode struct {
	name    string
	subnet  netip.Prefix
	address netip.Addr
}

// podSubnets waits until every node has a subnet for its pods.
func (p *Provider) podSubnets(ctx context.Context, s cluster.Spec) ([]podNode, error) {
	var list []podNode
	want := len(nodes(s))
	err := poll.Until(ctx, poll.Options{What: "the pod subnets of " + s.Name, Interval: 200 * time.Millisecond, Deadline: cidrDeadline},
		func(ctx context.Context) (bool, string, error) {
			out, err := p.engine.Run(ctx, "exec", controlPlanes(s)[0], "kubectl", "--kubeconfig="+adminConf, "get", "nodes", "--output=json")
			if err == nil {
				list, err = parseNodes([]byte(out))
			}
			return len(list) == want, fmt.Sprintf("%d of %d nodes have one", len(list), want), err
		})
	return list, err
}

// parseNodes picks the nodes that have a pod subnet and an address from a NodeList.
func parseNodes(data []byte) ([]podNode, error) {
	var nodes struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ PodCIDR string }
			Status   struct {
				Addresses []struct{ Type, Address string }
			}
		}
	}
	if err := json.Unmarshal(data, &nodes); err != nil {
		return nil, fmt.Errorf("reading nodes: %w", err)
	}
	var list []podNode
	for _, item := range nodes.Items {
		n := podNode{name: item.Metadata.Name}
		var err error
		if n.subnet, err = netip.ParsePrefix(item.Spec.PodCIDR); err != nil {
			continue
		}
		for _, a := range item.Status.Addresses {
			if a.Type == "InternalIP" && !n.address.IsValid() {
				n.address, _ = netip.ParseAddr(a.Address)
			}
		}
		if n.address.IsValid() {
			list = append(list, n)
		}
	}
	return list, nil
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
