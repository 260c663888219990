// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/verify"
)

// ToVerify is the mesh as package verify wants it. A cluster that does not answer is left
// out of the clients: verify says that it could not look. Passive prepares no probe.
func (m *Mesh) ToVerify(ctx context.Context, passive bool) (verify.Mesh, error) {
	clients, err := m.live(ctx, m.judged())
	if ctx.Err() != nil {
		return verify.Mesh{}, ctx.Err()
	}
	if len(clients) == 0 {
		if err == nil {
			err = ErrNoCluster
		}
		return verify.Mesh{}, fmt.Errorf("none of the clusters of %s can be looked at: %w", m.Topology.Metadata.Name, err)
	}
	image := m.Topology.Spec.Verify.Probe.Image
	if passive {
		return verify.Mesh{Topology: m.Topology, Clients: clients, Substitutions: m.Substituted(ctx)}, nil
	}
	if image == "" {
		image, err = m.probeImage(ctx, clients)
		if err != nil {
			return verify.Mesh{}, err
		}
	}
	return verify.Mesh{
		Topology: m.Topology, Clients: clients, ProbeImage: image, Substitutions: m.Substituted(ctx), Owner: m.Owner,
		Outside: m.outside(ctx, clients), Login: m.login, Network: m.Wires(),
	}, nil
}

// judged are the selected clusters, with those whose istiod serves them and whose API it reads.
func (m *Mesh) judged() []string {
	selected := m.Selected()
	return slices.DeleteFunc(m.Topology.Names(), func(name string) bool {
		return !slices.ContainsFunc(selected, func(s string) bool {
			c := m.Topology.Cluster(s)
			return name == s || name == c.Primary || name == c.Config
		})
	})
}

// Kubeconfig joins the kubeconfigs of the named clusters into one; it holds private keys.
func (m *Mesh) Kubeconfig(ctx context.Context, names []string) ([]byte, error) {
	joined := clientcmdapi.NewConfig()
	for _, name := range names {
		if _, err := m.Client(ctx, name); err != nil {
			return nil, err
		}
		one, err := m.kubeconfig(name)
		if err != nil {
			return nil, fmt.Errorf("reading the kubeconfig of %s: %w", name, err)
		}
		if m.existing(name) && collides(joined, one) {
			one = renamed(one, m.Topology.KindName(name))
		}
		for key, cluster := range one.Clusters {
			joined.Clusters[key] = cluster
		}
		for key, user := range one.AuthInfos {
			joined.AuthInfos[key] = user
		}
		for key, context := range one.Contexts {
			joined.Contexts[key] = context
		}
		if joined.CurrentContext == "" {
			joined.CurrentContext = one.CurrentContext
		}
	}
	return clientcmd.Write(*joined)
}

// collides says whether two kubeconfigs call different things by one name, as two of kubeadm do.
func collides(a, b *clientcmdapi.Config) bool {
	for key := range b.Clusters {
		if a.Clusters[key] != nil {
			return true
		}
	}
	for key := range b.AuthInfos {
		if a.AuthInfos[key] != nil {
			return true
		}
	}
	for key := range b.Contexts {
		if a.Contexts[key] != nil {
			return true
		}
	}
	return false
}

// renamed is a kubeconfig of one context whose cluster, user and context are called name.
func renamed(one *clientcmdapi.Config, name string) *clientcmdapi.Config {
	current := one.Contexts[one.CurrentContext].DeepCopy()
	all := clientcmdapi.NewConfig()
	all.Clusters[name], all.AuthInfos[name] = one.Clusters[current.Cluster], one.AuthInfos[current.AuthInfo]
	current.Cluster, current.AuthInfo = name, name
	all.Contexts[name], all.CurrentContext = current, name
	return all
}

// kubeconfig is the kubeconfig of one cluster: of the user's own what kubectl would use of the
// user's, with plugins and files by name and not by content.
func (m *Mesh) kubeconfig(name string) (*clientcmdapi.Config, error) {
	if !m.existing(name) {
		return clientcmd.LoadFromFile(m.State.Kubeconfig(name))
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = m.Topology.Kubeconfig(name)
	all, err := rules.Load()
	if err != nil {
		return nil, err
	}
	if context := m.Topology.Context(name); context != "" {
		all.CurrentContext = context
	}
	if err := clientcmdapi.MinifyConfig(all); err != nil {
		return nil, err
	}
	return all, nil
}

// hasRootCertificate says whether the root's certificate is kept, with or without its key.
func (m *Mesh) hasRootCertificate() bool { return hasFile(filepath.Join(m.State.PKI(), "root.pem")) }

// HasRoot says whether a root key is kept.
func (m *Mesh) HasRoot() bool { return hasFile(filepath.Join(m.State.PKI(), "root.key")) }

// CollectLogs saves the node logs of clusters that failed steps into the run folder, as far
// as it can: it runs after a failure and must not hide it.
func (m *Mesh) CollectLogs(ctx context.Context, dir string, result graph.Result) {
	ctx, cancel := context.WithTimeout(ctx, minutes(1))
	defer cancel()
	collected := map[string]bool{}
	for _, o := range result.Outcomes {
		name := o.Step.Cluster
		if o.Status != graph.Failed || name == "" || collected[name] || m.existing(name) {
			continue
		}
		collected[name] = true
		_ = m.Provider.CollectLogs(ctx, m.Topology.KindName(name), filepath.Join(dir, "nodes", name))
	}
}
