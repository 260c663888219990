// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// remoteProfile is the profile of Istio's charts for a cluster without an istiod
// (files/profile-remote.yaml of each chart).
const remoteProfile = "remote"

// RemoteIstiod is what a cluster has in place of an istiod: a Service of the same name that
// leads to the one which serves it, the webhook by which that one injects pods, and the rights
// that it needs here. In a config cluster it is also what an external istiod reads: mesh
// configuration, injection templates and an account of its own.
type RemoteIstiod struct {
	Mesh
	// Address is where the serving istiod is reached on topology.PortXDS and PortWebhook, an IP
	// or a host name: that of its cluster's east-west gateway, or of its own Service where it is
	// external. Empty when it has none yet, which Look reports and Do refuses.
	Address string
}

// Release is the istiod chart with the remote profile.
func (r RemoteIstiod) Release(c *kube.Client) (Release, error) {
	cluster, err := r.cluster(c)
	if err != nil {
		return Release{}, err
	}
	chart, err := r.chart("istio-control/istio-discovery")
	return Release{
		Name: r.Topology.IstiodName(), Namespace: topology.SystemNamespace,
		Chart: chart, Labels: r.labels(), Values: r.Values(cluster),
	}, err
}

// Values are the istiod chart's values for a cluster that another one's istiod serves.
func (r RemoteIstiod) Values(cluster *topology.Cluster) map[string]any {
	global := map[string]any{"remotePilotAddress": r.Address}
	shape := map[string]any{
		"profile": remoteProfile,
		"global":  global,
		"istiodRemote": map[string]any{
			// By this path the serving istiod knows whose pod it injects.
			"injectionPath": "/inject/cluster/" + cluster.Name + "/net/" + cluster.Network,
		},
	}
	if cluster.HoldsConfig() {
		global["configCluster"] = true
		// The profile leaves these to the primary; an external istiod reads them here.
		global["omitSidecarInjectorConfigMap"] = false
		shape["configMap"] = true
		// The chart names the Service without its revision once there is a remote address.
		shape["meshConfig"] = map[string]any{"defaultConfig": map[string]any{
			"discoveryAddress": fmt.Sprintf("%s.%s.svc:%d", r.Topology.IstiodName(), topology.SystemNamespace, topology.PortXDS)}}
	}
	return overlay(Istiod{r.Mesh}.Values(cluster), shape)
}

// Look implements Part. An istiod that runs here all the same is an error: its workloads hold
// certificates of its own authority, and a change of shape is not made on a live mesh.
func (r RemoteIstiod) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	cluster, err := r.cluster(c)
	if err != nil {
		return graph.Change{}, err
	}
	pods, err := c.Pods(ctx, topology.SystemNamespace, map[string]string{"app": istiodRelease})
	if err != nil {
		return graph.Change{}, err
	}
	if len(pods) > 0 {
		return graph.Change{}, diag.Hint(fmt.Errorf("an istiod runs in %s (pod %s), and the file says that the one in %s serves it", c.Cluster, pods[0].Name, cluster.Primary),
			"take primary: "+cluster.Primary+" out of the file, or `meshfed down` and `meshfed up` to make the mesh anew")
	}
	if r.Address == "" {
		return graph.Change{Action: graph.Update, Reason: "istiod of " + cluster.Primary + " has no address yet"}, nil
	}
	return look(ctx, c, func() (Release, error) { return r.Release(c) })
}

// Do implements Part. When it returns, pods can not be injected yet: see Injection.
func (r RemoteIstiod) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	cluster, err := r.cluster(c)
	if err != nil {
		return err
	}
	if r.Address == "" {
		return fmt.Errorf("istiod of %s has no address that %s could reach it at", cluster.Primary, c.Cluster)
	}
	return do(ctx, c, change, func() (Release, error) { return r.Release(c) })
}

// Remove implements Part.
func (r RemoteIstiod) Remove(ctx context.Context, c *kube.Client) error {
	return Istiod{r.Mesh}.Remove(ctx, c)
}

// Injection holds when the istiod that serves a remote cluster has taken it on: it has put its
// authority into the webhook and its root into istio-system, so that pods start. It makes
// nothing; istiod does, once it reads the cluster.
type Injection struct{ Mesh }

// Look implements Part: create while something is to be waited for, with what.
func (i Injection) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	ready, state, err := i.state(ctx, c)
	if err != nil || ready {
		return graph.Change{Action: graph.None}, err
	}
	return graph.Change{Action: graph.Create, Reason: state}, nil
}

// Do implements Part: it waits.
func (i Injection) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	cluster, err := i.cluster(c)
	if err != nil {
		return err
	}
	err = until(ctx, c, "istiod of "+cluster.Primary+" to serve the pods", func(ctx context.Context) (bool, string, error) { return i.state(ctx, c) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	return diag.Hint(err, fmt.Sprintf("istiod looks once whether the annotation %s names it; make it look again: kubectl --context %s -n %s rollout restart deployment/%s",
		topology.AnnotationControlPlanes, i.Topology.Context(cluster.Primary), topology.SystemNamespace, i.Topology.IstiodName()))
}

// Remove implements Part: there is nothing.
func (i Injection) Remove(context.Context, *kube.Client) error { return nil }

func (i Injection) state(ctx context.Context, c *kube.Client) (bool, string, error) {
	given, err := givenRoots(ctx, c)
	if err != nil || given == nil {
		return false, "ConfigMap " + topology.RootCertConfigMap + " is not there yet", err
	}
	roots, err := certs.ParseCertificates(given)
	if err != nil || len(roots) == 0 {
		return false, "ConfigMap " + topology.RootCertConfigMap + " holds no root", nil
	}
	return i.webhook(ctx, c, roots[0])
}
