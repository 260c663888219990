// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// outside are the clients that are not in the mesh: this host, which reaches published ports,
// and a container on the clusters' network, which reaches load-balancer addresses and ends with ctx
// at the latest.
func (m *Mesh) outside(ctx context.Context, clients map[string]*kube.Client) []verify.Outside {
	published, balanced := map[string]string{}, map[string]string{}
	for name, c := range clients {
		declared := m.Topology.Cluster(name)
		if declared.Ingress == nil {
			continue
		}
		// What can not be found out has no URL, which verify reports as not looked at.
		if addresses, err := m.published(ctx, declared); err == nil && len(addresses) > 0 {
			published[name] = "http://" + addresses[0]
		}
		address, _, err := install.Address(ctx, c, topology.IngressGateway)
		if err != nil || address == "" {
			continue
		}
		if m.existing(name) {
			// Whether its network leads here is known only by trying; the container's is behind this host.
			if !listens(ctx, address) {
				continue
			}
			published[name] = "http://" + address
		}
		balanced[name] = "http://" + address
	}
	container := verify.Outside{Name: verify.OutsideContainer, URL: balanced}
	image := ""
	if m.Provider == nil {
		container.Unusable = "every cluster is your own, and no container engine is asked"
	} else if image = m.someNodeImage(ctx); image == "" {
		container.Unusable = "no node of the topology runs on " + m.Engine.Name()
	}
	curl := &curlContainer{run: func(in io.Reader, out io.Writer) error {
		_, err := cluster.RunOnce(ctx, m.Engine, cluster.RunSpec{
			Name: m.Topology.Metadata.Name + "-outside-" + state.NewOwner()[:8], Network: m.Topology.NetworkName(), Image: image,
			Labels: m.Labels(), Entrypoint: "bash", Args: []string{"-c", curlScript}, Stdin: in, Stdout: out,
		})
		return err
	}}
	container.Get, container.Done = curl.get, curl.done
	return []verify.Outside{verify.FromHost(published), container}
}

// listens says whether somebody takes connections on port 80 of an address.
func listens(ctx context.Context, address string) bool {
	connection, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(address, "80"))
	return err == nil && connection.Close() == nil
}

// someNodeImage is the image of a running node: every engine that has our clusters has it, and
// curl is in it, so that the outside client needs no image of its own.
func (m *Mesh) someNodeImage(ctx context.Context) string {
	clusters, err := m.Provider.List(ctx)
	if err != nil {
		return ""
	}
	nodes, err := cluster.Containers(ctx, m.Engine, "network="+m.Topology.NetworkName())
	if err != nil {
		return ""
	}
	for _, n := range nodes {
		// By the whole name: the network may be everybody's.
		name, _, control := strings.Cut(n.Name, "-control-plane")
		if control && n.Running() && slices.Contains(clusters, name) {
			return n.Image
		}
	}
	return ""
}
