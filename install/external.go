// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// ExternalService is the address at which the clusters that an external istiod serves reach
// it. It leads to istiod itself, which ends TLS: what is in between sees nothing, and istiod's
// certificate holds for the name by which proxies and API servers ask, istiod.istio-system.svc.
type ExternalService struct{ Mesh }

// Service is the object that Do applies.
func (e ExternalService) Service() *corev1.Service {
	port := func(name string, number int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(number)}
	}
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.IstiodExternal, Labels: e.labels()},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer,
			// The labels of istiod's pods in Istio's chart (templates/deployment.yaml).
			Selector: map[string]string{"app": istiodRelease, topology.LabelRevision: e.Topology.RevisionName()},
			Ports:    []corev1.ServicePort{port("tls-xds", topology.PortXDS), port("tls-webhook", topology.PortWebhook)},
		},
	}
}

// Look implements Part. It says update as well while the Service has no address.
func (e ExternalService) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	change, err := c.Look(ctx, e.Service())
	if err != nil || change.Needed() {
		return change, err
	}
	address, state, err := Address(ctx, c, topology.IstiodExternal)
	if err != nil || address != "" {
		return change, err
	}
	return graph.Change{Action: graph.Update, Reason: state}, nil
}

// Do implements Part: it returns when the Service has an address.
func (e ExternalService) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	if err := c.Apply(ctx, e.Service()); err != nil {
		return err
	}
	return until(ctx, c, "address of Service "+topology.IstiodExternal, func(ctx context.Context) (bool, string, error) {
		address, state, err := Address(ctx, c, topology.IstiodExternal)
		return address != "", state, err
	})
}

// Remove implements Part.
func (e ExternalService) Remove(ctx context.Context, c *kube.Client) error {
	return c.Remove(ctx, e.Service())
}
