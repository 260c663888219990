// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// gateway is what both gateways are: a release of Istio's gateway chart, whose pods istiod
// injects, behind a Service that may need an address.
type gateway struct {
	Mesh
	name    string
	values  map[string]any
	address bool // the Service needs an external address
	adopt   bool // one that was there is taken over
}

func (g gateway) release() (Release, error) {
	chart, err := g.chart("gateway")
	return Release{
		Name: g.name, Namespace: topology.SystemNamespace,
		Chart: chart, Labels: g.labels(), Values: g.values,
		Wait: []Workload{{Kind: "Deployment", Name: g.name}}, Adopt: g.adopt,
	}, err
}

func (g gateway) look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	change, err := look(ctx, c, g.release)
	if err != nil || change.Needed() || !g.address {
		return change, err
	}
	address, state, err := Address(ctx, c, g.name)
	if err != nil || address != "" {
		return change, err
	}
	return graph.Change{Action: graph.Update, Reason: state}, nil
}

func (g gateway) do(ctx context.Context, c *kube.Client, change graph.Change) error {
	if cluster, err := g.cluster(c); err != nil {
		return err
	} else if cluster.IsPrimary() {
		istiod := []Workload{{Kind: "Deployment", Name: g.Topology.IstiodName()}}
		if err := waitReady(ctx, c, topology.SystemNamespace, istiod); err != nil {
			return err
		}
	}
	if err := g.waitForWebhook(ctx, c, nil); err != nil {
		return err
	}
	if err := g.replaceUninjected(ctx, c); err != nil {
		return err
	}
	if err := do(ctx, c, change, g.release); err != nil {
		return err
	}
	if !g.address {
		return nil
	}
	return until(ctx, c, "address of Service "+g.name, func(ctx context.Context) (bool, string, error) {
		address, state, err := Address(ctx, c, g.name)
		return address != "", state, err
	})
}

func (g gateway) lookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return Release{Name: g.name, Namespace: topology.SystemNamespace, Labels: g.labels()}.LookRemove(ctx, c)
}

func (g gateway) remove(ctx context.Context, c *kube.Client) error {
	return g.takeAway(ctx, c, g.named(g.name), map[string]string{"app": g.name})
}

// replaceUninjected deletes pods of the gateway that were made while istiod's webhook could
// not be called: they ask for an image named "auto" for ever.
func (g gateway) replaceUninjected(ctx context.Context, c *kube.Client) error {
	pods, err := c.Pods(ctx, topology.SystemNamespace, map[string]string{"app": g.name})
	if err != nil {
		return err
	}
	for i := range pods {
		for _, container := range pods[i].Spec.Containers {
			if container.Image != "auto" {
				continue
			}
			graph.State(ctx, "replacing pod %s, which was made before istiod could inject it", pods[i].Name)
			if err := c.Remove(ctx, &pods[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Address is the external address of a gateway's Service in istio-system: an IP or a host
// name, or empty, with a state that says so. It looks once.
func Address(ctx context.Context, c *kube.Client, service string) (address, state string, err error) {
	var found corev1.Service
	err = c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: service}, &found)
	if kube.Absent(err) {
		return "", "Service " + service + " is not there", nil
	}
	if err != nil {
		return "", "", c.Explain(err, "reading Service "+service)
	}
	for _, ingress := range found.Status.LoadBalancer.Ingress {
		if ingress.IP != "" {
			return ingress.IP, "", nil
		}
		if ingress.Hostname != "" {
			return ingress.Hostname, "", nil
		}
	}
	return "", fmt.Sprintf("Service %s has no external address yet", service), nil
}

// gatewayValues are what both gateways share.
func (m Mesh) gatewayValues(cluster *topology.Cluster, selector string, replicas int) map[string]any {
	values := map[string]any{
		"labels":       map[string]any{"istio": selector},
		"autoscaling":  map[string]any{"enabled": false},
		"replicaCount": replicas,
		// The container's image is "auto", which has no tag: Kubernetes would default to
		// Always, and the injector keeps that for the real image.
		"imagePullPolicy": "IfNotPresent",
		// The injector's own probe asks every 15 s, with no startup probe before it: a
		// gateway that is not ready at its first breath waits 15 s to be asked again.
		"readinessProbe": map[string]any{
			"httpGet":          map[string]any{"path": "/healthz/ready", "port": topology.PortStatus},
			"periodSeconds":    1,
			"timeoutSeconds":   3,
			"failureThreshold": 30,
		},
	}
	if m.Topology.Spec.Istio.Revision != "" {
		values["revision"] = m.Topology.Spec.Istio.Revision
	}
	if secret := m.Topology.Spec.Images.PullSecret; secret != "" {
		values["imagePullSecrets"] = []any{map[string]any{"name": secret}}
	}
	if small(cluster) {
		values["resources"] = requests("10m", "64Mi")
	}
	return values
}

// port is an entry of the gateway chart's service.ports; nodePort 0 lets Kubernetes choose.
func port(name string, number, nodePort int) map[string]any {
	p := map[string]any{"name": name, "port": number, "protocol": "TCP", "targetPort": number}
	if nodePort != 0 {
		p["nodePort"] = nodePort
	}
	return p
}
