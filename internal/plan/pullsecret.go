// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// pullSecrets is the secret by which nodes of a cluster pull, in each namespace of ours whose pods
// need it.
type pullSecrets []install.PullSecret

func (m *Mesh) pullSecrets(cluster string, in install.Mesh) pullSecrets {
	var parts pullSecrets
	namespaces := []string{topology.SystemNamespace}
	if c := m.Topology.Cluster(cluster); c == nil || c.LoadBalancer.Type == topology.LoadBalancerMetalLB {
		namespaces = append(namespaces, topology.MetalLBNamespace) // of a cluster that the file no longer has nobody knows
	}
	for _, n := range m.Topology.NamespacesOf(cluster) {
		if n.Inject { // their sidecars are pulled too
			namespaces = append(namespaces, n.Name)
		}
	}
	for _, namespace := range namespaces {
		parts = append(parts, install.PullSecret{Mesh: in, Namespace: namespace, Data: m.login})
	}
	return parts
}

// login is what this host knows to log in to the mirror, as a secret holds it.
func (m *Mesh) login(ctx context.Context) (map[string][]byte, error) {
	host, path, _ := m.Topology.MirrorHost()
	if host == "" {
		host = "docker.io"
	}
	config, err := registry.Login(ctx, host, path)
	if err != nil {
		return nil, err
	}
	return install.PullSecretData(config), nil
}

func (s pullSecrets) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	for _, part := range s {
		if change, err := part.Look(ctx, c); err != nil || change.Needed() {
			return change, err
		}
	}
	return graph.Change{Action: graph.None}, nil
}

func (s pullSecrets) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	for _, part := range s {
		change, err := part.Look(ctx, c)
		if err != nil {
			return err
		}
		if change.Needed() {
			if err := part.Do(ctx, c, change); err != nil {
				return err
			}
		}
	}
	return nil
}
