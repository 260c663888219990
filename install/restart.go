// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const (
	// restartedAt is the annotation by which kubectl rollout restart makes new pods.
	restartedAt = "kubectl.kubernetes.io/restartedAt"
	// proxyContainer is the name of the container that the injector adds.
	proxyContainer = "istio-proxy"
)

// signed lists the Deployments that hold certificates of the control plane's authority and
// are ours: istiod first, whose leaf the others check. What somebody else owns is not restarted;
// an istiod of somebody else's that had another authority before is refused first, see Fits.
func (a CACerts) signed(c *kube.Client) (names []string) {
	cluster := a.Topology.Cluster(c.Cluster)
	if cluster == nil || cluster.Manage.Istio {
		names = append(names, a.Topology.IstiodName())
	}
	if cluster == nil || cluster.Manage.Gateways {
		names = append(names, topology.IngressGateway, topology.EastWestGateway)
	}
	return names
}

// older names those of our Deployments that have a pod from before the given time: the
// secret's creation. A secret that is changed in place, as rotation does, needs no restart.
func (a CACerts) older(ctx context.Context, c *kube.Client, created metav1.Time) ([]string, error) {
	pods, err := c.Pods(ctx, topology.SystemNamespace, nil)
	if err != nil {
		return nil, err
	}
	var late []string
	for _, name := range a.signed(c) {
		for i := range pods {
			if pods[i].DeletionTimestamp == nil && pods[i].CreationTimestamp.Before(&created) && belongs(&pods[i], name) {
				late = append(late, name)
				break
			}
		}
	}
	return late, nil
}

// belongs says whether a pod is one of a Deployment of Istio's charts. They label istiod's
// pods app=istiod with the revision, and gateways' pods app=<name>.
func belongs(pod *corev1.Pod, deployment string) bool {
	app := pod.Labels["app"]
	if app == istiodRelease {
		revision := topology.RevisionOf(pod.Labels)
		return deployment == istiodRelease && revision == topology.DefaultRevision || deployment == istiodRelease+"-"+revision
	}
	return app == deployment
}

// outdated names those of our Deployments that hold certificates of another authority than
// cacerts, with the reason, istiod first. That is what is older than the secret; and all of
// them when istiod gives out another root all the same, as one does that was started with
// other content of the same secret: istiod takes no new root while it runs.
//
// While istiod does not run nothing is outdated: a gateway that restarts could not reach it,
// and whoever makes istiod comes after cacerts. The next look names the gateways.
func (a CACerts) outdated(ctx context.Context, c *kube.Client, created metav1.Time, root *x509.Certificate) (late []string, reason string, err error) {
	if late, err = a.older(ctx, c, created); err != nil {
		return nil, "", err
	}
	if len(late) > 0 {
		reason = late[0] + " started before cacerts and still has another certificate authority: restart needed"
	}
	istiod := a.Topology.IstiodName()
	if slices.Contains(late, istiod) || !slices.Contains(a.signed(c), istiod) {
		return late, reason, nil
	}
	ready, _, err := c.DeploymentState(ctx, topology.SystemNamespace, istiod)
	if err != nil || !ready {
		return nil, "", err
	}
	given, err := givenRoots(ctx, c)
	if err != nil || given == nil || contains(given, root) {
		return late, reason, err
	}
	return a.signed(c), "istiod gives out another root than " + certs.Fingerprint(root) + ", which cacerts holds: restart needed", nil
}

// givenRoots is the root certificates that istiod gives to workloads, or nil when it has not
// given out any.
func givenRoots(ctx context.Context, c *kube.Client) ([]byte, error) {
	var found corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.RootCertConfigMap}, &found)
	if kube.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.Explain(err, "reading ConfigMap "+topology.RootCertConfigMap)
	}
	return []byte(found.Data["root-cert.pem"]), nil
}

// renew restarts what is outdated. Between istiod and the gateways it waits
// until istiod has given out the root: a gateway that starts with the old one can not
// reach istiod, and is not told of the new one for a minute.
func (a CACerts) renew(ctx context.Context, c *kube.Client, created metav1.Time, root *x509.Certificate) error {
	late, _, err := a.outdated(ctx, c, created, root)
	if err != nil || len(late) == 0 {
		return err
	}
	for _, name := range late {
		if name != a.Topology.IstiodName() {
			if err := a.waitForRoot(ctx, c, root); err != nil {
				return err
			}
		}
		if err := restart(ctx, c, name, a.now()); err != nil {
			return err
		}
	}
	if err := a.waitForRoot(ctx, c, root); err != nil {
		return err
	}
	return a.countOthers(ctx, c, created)
}

// waitForRoot blocks until istiod is ready and both its ConfigMap for workloads and its
// webhook carry the root.
func (a CACerts) waitForRoot(ctx context.Context, c *kube.Client, root *x509.Certificate) error {
	istiod := []Workload{{Kind: "Deployment", Name: a.Topology.IstiodName()}}
	if err := waitReady(ctx, c, topology.SystemNamespace, istiod); err != nil {
		return err
	}
	if a.isExternal(c) {
		return nil // it gives its root to other clusters, not to this one
	}
	err := until(ctx, c, "ConfigMap "+topology.RootCertConfigMap, func(ctx context.Context) (bool, string, error) {
		given, err := givenRoots(ctx, c)
		return err == nil && contains(given, root), "istiod has not given out root " + certs.Fingerprint(root) + " yet", err
	})
	if err != nil {
		return err
	}
	return a.waitForWebhook(ctx, c, root)
}

// restart makes new pods for a Deployment in istio-system, as kubectl rollout restart does,
// and blocks until they are ready and the old ones are gone. An absent one is fine.
func restart(ctx context.Context, c *kube.Client, name string, now time.Time) error {
	var found appsv1.Deployment
	err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: name}, &found)
	if kube.Absent(err) {
		return nil
	}
	if err != nil {
		return c.Explain(err, "reading Deployment "+name)
	}
	graph.State(ctx, "restarting %s", name)
	before := found.DeepCopy()
	if found.Spec.Template.Annotations == nil {
		found.Spec.Template.Annotations = map[string]string{}
	}
	found.Spec.Template.Annotations[restartedAt] = now.UTC().Format(time.RFC3339)
	if err := c.Patch(ctx, &found, client.MergeFrom(before)); err != nil {
		return c.Explain(err, "restarting Deployment "+name)
	}
	return waitReady(ctx, c, topology.SystemNamespace, []Workload{{Kind: "Deployment", Name: name}})
}

// countOthers says how many workloads still hold certificates of the authority before.
// They are not ours to restart.
func (a CACerts) countOthers(ctx context.Context, c *kube.Client, created metav1.Time) error {
	var pods corev1.PodList
	if err := c.List(ctx, &pods); err != nil {
		return c.Explain(err, "listing pods")
	}
	count, first := 0, ""
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil || !pod.CreationTimestamp.Before(&created) || pod.Namespace == topology.SystemNamespace || !proxied(pod) {
			continue
		}
		if count++; first == "" {
			first = pod.Namespace + "/" + pod.Name
		}
	}
	if count > 0 {
		graph.State(ctx, "pods of others that still hold certificates of the authority before: %d, the first is %s; restart them when it suits", count, first)
	}
	return nil
}

// proxied says whether the pod has a sidecar, as a container or as a native sidecar.
func proxied(pod *corev1.Pod) bool {
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			if containers[i].Name == proxyContainer {
				return true
			}
		}
	}
	return false
}
