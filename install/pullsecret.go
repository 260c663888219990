// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// PullSecret is the secret by which nodes pull, in one namespace: spec.images.pullSecret, with
// this host's login for the mirror and no other. One of that name that is not ours is the
// user's own and stays as it is. Without a name there is nothing to do.
type PullSecret struct {
	Mesh
	// Namespace that it is needed in. One that is absent is made, as ours.
	Namespace string
	// Data is the secret's content; it is asked for only when the secret is ours to write.
	Data func(context.Context) (map[string][]byte, error)
}

// PullSecretData is the content of a secret that holds a login as docker keeps it.
func PullSecretData(dockerConfig []byte) map[string][]byte {
	return map[string][]byte{corev1.DockerConfigJsonKey: dockerConfig}
}

// Look says create when the secret is absent, and update when it is ours and the login is
// another one. It shows neither.
func (p PullSecret) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	name := p.Topology.Spec.Images.PullSecret
	if name == "" {
		return graph.Change{Action: graph.None}, nil
	}
	found, err := p.read(ctx, c)
	switch {
	case err != nil:
		return graph.Change{}, err
	case found == nil:
		return graph.Change{Action: graph.Create, Reason: "secret " + name + " is not there"}, nil
	case !owned(found, p.Mesh):
		return graph.Change{Action: graph.None, Reason: "secret " + name + " is the user's own"}, nil
	}
	data, err := p.data(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			return graph.Change{}, err
		}
		// What is there was good once; a host without the login can not say whether it still is.
		return graph.Change{Action: graph.None, Reason: "the login that it holds is not on this host"}, nil
	}
	if !maps.EqualFunc(found.Data, data, bytes.Equal) {
		return graph.Change{Action: graph.Update, Reason: "the login in secret " + name + " is not this host's"}, nil
	}
	return graph.Change{Action: graph.None}, nil
}

// Do writes the secret unless one is there that is not ours.
func (p PullSecret) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	if p.Topology.Spec.Images.PullSecret == "" {
		return nil
	}
	found, err := p.read(ctx, c)
	if err != nil || found != nil && !owned(found, p.Mesh) {
		return err
	}
	// First, so that whoever has to make the secret has where to put it.
	if err := p.namespace(ctx, c); err != nil {
		return err
	}
	data, err := p.data(ctx, c)
	if err != nil {
		return err
	}
	return c.Apply(ctx, &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Topology.Spec.Images.PullSecret, Labels: p.labels()},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       data,
	})
}

// Remove deletes the secret if it is ours.
func (p PullSecret) Remove(ctx context.Context, c *kube.Client) error {
	found, err := p.read(ctx, c)
	if err != nil || found == nil || !owned(found, p.Mesh) {
		return err
	}
	return c.Remove(ctx, found)
}

func (p PullSecret) data(ctx context.Context, c *kube.Client) (map[string][]byte, error) {
	data, err := p.Data(ctx)
	if err != nil {
		name := p.Topology.Spec.Images.PullSecret
		err = diag.Hint(fmt.Errorf("secret %s in namespace %s: %w", name, p.Namespace, err),
			"or make it yourself: "+c.Kubectl(fmt.Sprintf("create secret docker-registry %s -n %s --docker-server=... --docker-username=...", name, p.Namespace)))
		return nil, diag.Op(err, c.Cluster, "making the secret by which nodes pull")
	}
	return data, nil
}

// namespace makes the namespace unless there is one; that one is not touched.
func (p PullSecret) namespace(ctx context.Context, c *kube.Client) error {
	var found corev1.Namespace
	err := c.Get(ctx, client.ObjectKey{Name: p.Namespace}, &found)
	switch {
	case err == nil:
		return nil
	case !kube.Absent(err):
		return c.Explain(err, "reading namespace "+p.Namespace)
	case p.Namespace == topology.MetalLBNamespace:
		return c.Apply(ctx, MetalLB{Mesh: p.Mesh}.objects()[0])
	case p.Namespace == topology.SystemNamespace:
		return SystemNamespace{Mesh: p.Mesh}.Do(ctx, c, graph.Change{})
	}
	labels := p.labels()
	for _, each := range p.Topology.NamespacesOf(c.Cluster) {
		if each.Name == p.Namespace { // which is being made beside: an apply of less would take the rest away
			labels = kube.Labels(labels, Namespaces{p.Mesh}.labelsOf(each))
		}
	}
	return c.Apply(ctx, kube.Namespace(p.Namespace, labels))
}

// read is the secret, or nil.
func (p PullSecret) read(ctx context.Context, c *kube.Client) (*corev1.Secret, error) {
	name := p.Topology.Spec.Images.PullSecret
	if name == "" {
		return nil, nil
	}
	var secret corev1.Secret
	err := c.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: name}, &secret)
	if kube.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.Explain(err, "reading secret "+name)
	}
	return &secret, nil
}
