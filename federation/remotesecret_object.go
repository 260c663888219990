// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// object is the remote secret as istioctl's library shapes it, with our labels and the end
// of its token added.
func (r RemoteSecret) object(a access, expires string) (*corev1.Secret, error) {
	config, err := a.kubeconfig()
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        topology.RemoteSecretName(r.Peer),
			Namespace:   topology.SystemNamespace,
			Labels:      r.labels(),
			Annotations: map[string]string{topology.AnnotationCluster: r.Peer, topology.AnnotationExpires: expires},
		},
		Data: map[string][]byte{r.Peer: config},
	}, nil
}

func (r RemoteSecret) labels() map[string]string {
	return kube.Labels(r.Labels, map[string]string{topology.LabelMultiCluster: "true"})
}

// labelsDiffer compares what object puts on the Secret, the end of the token apart.
func (r RemoteSecret) labelsDiffer(s *corev1.Secret) []graph.FieldChange {
	var fields []graph.FieldChange
	want := r.labels()
	for _, key := range sorted(want) {
		if s.Labels[key] != want[key] {
			fields = append(fields, graph.FieldChange{Path: "metadata.labels." + key, Old: s.Labels[key], New: want[key]})
		}
	}
	if got := s.Annotations[topology.AnnotationCluster]; got != r.Peer {
		fields = append(fields, graph.FieldChange{Path: "metadata.annotations." + topology.AnnotationCluster, Old: got, New: r.Peer})
	}
	return fields
}

// binding is the Secret in Of that the token lives and dies with. It holds nothing.
func (r RemoteSecret) binding() *corev1.Secret {
	return &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        BindingName(r.In.Cluster),
			Namespace:   topology.SystemNamespace,
			Labels:      r.Labels,
			Annotations: map[string]string{"meshfed.io/description": "Deleting this Secret revokes what cluster " + r.In.Cluster + " reads this cluster with."},
		},
		Type: corev1.SecretTypeOpaque,
	}
}

// requireAccount insists that Of has the account that tokens are of: Istio's charts make it.
func (r RemoteSecret) requireAccount(ctx context.Context) error {
	key := client.ObjectKey{Namespace: topology.SystemNamespace, Name: r.accountName()}
	err := r.Of.Get(ctx, key, &corev1.ServiceAccount{})
	if kube.Absent(err) {
		err = diag.Hint(err, fmt.Sprintf("Istio's base and istiod charts make service account %s; is Istio installed in %s?", key.Name, r.Of.Cluster))
	}
	return r.Of.Explain(err, "looking for service account "+key.Name)
}

// Authority is the CA of c's API server: from the kubeconfig, and where that names none from
// what the cluster itself gives to its pods. It is no secret.
//
// An own one is asked of the cluster in any case: for a server that is not the kubeconfig's, which
// may lead through something that shows a certificate of its own.
func Authority(ctx context.Context, c *kube.Client, own bool) ([]byte, error) {
	if !own && c.REST != nil && !c.REST.Insecure {
		if len(c.REST.CAData) > 0 {
			return c.REST.CAData, nil
		}
		if c.REST.CAFile != "" {
			data, err := os.ReadFile(c.REST.CAFile)
			return data, c.Explain(err, "reading the API server's CA")
		}
	}
	var cm corev1.ConfigMap
	if err := c.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "kube-root-ca.crt"}, &cm); err != nil {
		return nil, c.Explain(err, "reading the API server's CA from ConfigMap kube-root-ca.crt")
	}
	ca := cm.Data[corev1.ServiceAccountRootCAKey]
	if ca == "" {
		return nil, c.Explain(errors.New("it has no "+corev1.ServiceAccountRootCAKey), "reading the API server's CA from ConfigMap kube-root-ca.crt")
	}
	return []byte(ca), nil
}

// ours says whether an object carries every one of our labels. Before there is an owner nothing is
// ours: what was rendered carries the topology alone.
func ours(obj client.Object, labels map[string]string) bool {
	for key, value := range labels {
		if value == "" || obj.GetLabels()[key] != value {
			return false
		}
	}
	return len(labels) > 0
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// pair names a pair in errors.
func (r RemoteSecret) pair() string {
	return fmt.Sprintf("remote secret for %s to %s", r.Peer, r.In.Cluster)
}
