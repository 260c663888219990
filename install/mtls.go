// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	securityapi "istio.io/api/security/v1beta1"
	security "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// meshPolicy is the name that Istio reserves for a mesh-wide PeerAuthentication
// (https://istio.io/latest/docs/reference/config/security/peer_authentication/).
const meshPolicy = "default"

// MeshMTLS is the mesh-wide mutual TLS mode of a cluster: a PeerAuthentication in the root
// namespace when the topology says Strict. Permissive is what Istio does without one, so
// then ours is removed and one of somebody else is left alone.
type MeshMTLS struct{ Mesh }

func (p MeshMTLS) policy() *security.PeerAuthentication {
	return &security.PeerAuthentication{
		TypeMeta:   metav1.TypeMeta{APIVersion: "security.istio.io/v1", Kind: "PeerAuthentication"},
		ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: meshPolicy, Labels: p.labels()},
		Spec:       securityapi.PeerAuthentication{Mtls: &securityapi.PeerAuthentication_MutualTLS{Mode: securityapi.PeerAuthentication_MutualTLS_STRICT}},
	}
}

func (p MeshMTLS) strict() bool { return p.Topology.Spec.Mesh.MTLS == topology.MTLSStrict }

// Look says create or update when the mode shall be strict and is not, delete when a policy
// of ours is there and shall not be.
func (p MeshMTLS) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	if p.strict() {
		return c.Look(ctx, p.policy())
	}
	ours, err := p.ours(ctx, c)
	if err != nil || !ours {
		return graph.Change{Action: graph.None}, err
	}
	return graph.Change{Action: graph.Delete, Reason: "the file says Permissive"}, nil
}

// Do applies or removes the policy.
func (p MeshMTLS) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	if p.strict() {
		return c.ApplyValidated(ctx, p.policy())
	}
	return p.Remove(ctx, c)
}

// Remove deletes the policy if it is ours; absent is success.
func (p MeshMTLS) Remove(ctx context.Context, c *kube.Client) error {
	ours, err := p.ours(ctx, c)
	if err != nil || !ours {
		return err
	}
	return c.Remove(ctx, p.policy())
}

func (p MeshMTLS) ours(ctx context.Context, c *kube.Client) (bool, error) {
	var found security.PeerAuthentication
	err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: meshPolicy}, &found)
	if kube.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, c.Explain(err, "reading the mesh-wide PeerAuthentication")
	}
	return owned(&found, p.Mesh), nil
}

// meshStrict says whether the mesh-wide mode of a cluster is STRICT, whoever said so. Among
// policies of the root namespace without a selector the oldest holds
// (https://istio.io/latest/docs/reference/config/security/peer_authentication/).
func meshStrict(ctx context.Context, c *kube.Client) (bool, error) {
	var list security.PeerAuthenticationList
	if err := c.List(ctx, &list, client.InNamespace(topology.SystemNamespace)); err != nil {
		if kube.Absent(err) { // there is no such kind
			return false, nil
		}
		return false, c.Explain(err, "listing mesh-wide PeerAuthentications")
	}
	var oldest *security.PeerAuthentication
	for _, p := range list.Items {
		if p.Spec.GetSelector() == nil && (oldest == nil || p.CreationTimestamp.Before(&oldest.CreationTimestamp)) {
			oldest = p
		}
	}
	return oldest != nil && oldest.Spec.GetMtls().GetMode() == securityapi.PeerAuthentication_MutualTLS_STRICT, nil
}

// OthersMTLS is a mesh-wide mode that somebody else says.
type OthersMTLS struct{ Mesh }

// Look asks for a mode that is at least as strict as the file's, under any name.
func (p OthersMTLS) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	strict, err := meshStrict(ctx, c)
	if err == nil && !strict && p.Topology.Spec.Mesh.MTLS == topology.MTLSStrict {
		return graph.Change{Action: graph.Create, Reason: "no PeerAuthentication says STRICT for the whole mesh"}, nil
	}
	return graph.Change{Action: graph.None}, err
}
