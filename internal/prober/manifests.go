// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

const (
	name = "prober"
	// labelCluster selects the prober of one cluster behind the Service that bears its name.
	labelCluster = "meshfed.io/prober-cluster"
	// user is that of nobody in images without users; the restricted Pod Security Standard wants one
	// that is not root.
	user = 65532
)

// object is a Kubernetes object as plain JSON.
type object = map[string]any

// Manifest is everything that one cluster needs, as a YAML stream in the order of its application:
// it works with `kubectl apply -f`, and `kubectl delete -f` removes it again. image is that of the
// probe, with prober among its roles.
func Manifest(t *topology.Topology, cluster, image string) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The prober of %s in %s. Remove it with: kubectl delete -f\n", cluster, t.Metadata.Name)
	for _, o := range objects(t, cluster, image) {
		data, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("encoding the prober of %s: %w", cluster, err)
		}
		b.WriteString("---\n")
		b.Write(data)
	}
	return b.Bytes(), nil
}

func objects(t *topology.Topology, cluster, image string) []object {
	key, value := t.Injection()
	all := []object{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": topology.ProberNamespace, "labels": labels(t, object{key: value})}},
		namespaced("v1", "ServiceAccount", topology.ProberName(cluster), t, object{"automountServiceAccountToken": false}),
	}
	// Every cluster has the Services of all, so that their names resolve; a pod stands behind each
	// in one of them alone.
	for _, c := range t.Members() {
		all = append(all, namespaced("v1", "Service", topology.ProberName(c), t, object{"spec": object{
			"selector": object{"app.kubernetes.io/name": name, labelCluster: c},
			"ports":    []any{object{"name": "http", "port": probe.PortApp, "targetPort": probe.PortApp}},
		}}))
	}
	if t.Cluster(cluster).Config == cluster { // istiod reads its rules there
		all = append(all, rules(t)...)
	}
	return append(all, namespaced("apps/v1", "Deployment", name, t, object{"spec": object{
		"replicas": 1, "selector": object{"matchLabels": object{"app.kubernetes.io/name": name}},
		// Two of them would ask twice as often.
		"strategy": object{"type": "Recreate"},
		"template": template(t, cluster, image),
	}}))
}

// namespaced is one object of the namespace.
func namespaced(apiVersion, kind, name string, t *topology.Topology, rest object) object {
	o := object{"apiVersion": apiVersion, "kind": kind, "metadata": object{"name": name, "namespace": topology.ProberNamespace, "labels": labels(t, nil)}}
	for k, v := range rest {
		o[k] = v
	}
	return o
}

// labels are not those of ownership: whoever applied a prober removes it, and not `down`.
func labels(t *topology.Topology, more object) object {
	all := object{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "meshfed", "app.kubernetes.io/instance": t.Metadata.Name}
	for k, v := range more {
		all[k] = v
	}
	return all
}

// rules let probers reach each other, by mutual TLS alone, whatever the mesh has for the rest.
func rules(t *topology.Topology) []object {
	return []object{
		namespaced("security.istio.io/v1", "PeerAuthentication", "default", t, object{"spec": object{"mtls": object{"mode": "STRICT"}}}),
		namespaced("security.istio.io/v1", "AuthorizationPolicy", name, t, object{"spec": object{
			"action": "ALLOW", "rules": []any{object{"from": []any{object{"source": object{"namespaces": []any{topology.ProberNamespace}}}}}},
		}}),
	}
}

// template is the pod: what of it is ours satisfies the restricted Pod Security Standard. Istio's
// own init container does not, unless its CNI plug-in takes its place.
func template(t *topology.Topology, cluster, image string) object {
	port := strconv.Itoa(probe.PortMetrics)
	spec := object{
		"serviceAccountName": topology.ProberName(cluster), "automountServiceAccountToken": false, "enableServiceLinks": false,
		"securityContext": object{"runAsNonRoot": true, "runAsUser": user, "runAsGroup": user, "seccompProfile": object{"type": "RuntimeDefault"}},
		"containers":      []any{container(t, cluster, image)},
	}
	if secret := t.Spec.Images.PullSecret; secret != "" {
		spec["imagePullSecrets"] = []any{object{"name": secret}}
	}
	if tolerations := t.Spec.Verify.Probe.Tolerations; len(tolerations) > 0 {
		spec["tolerations"] = tolerations
	}
	return object{
		"metadata": object{
			"labels": labels(t, object{labelCluster: cluster, "sidecar.istio.io/inject": "true"}),
			"annotations": object{
				// Metrics are for whoever scrapes pods, in the mesh or not.
				"traffic.sidecar.istio.io/excludeInboundPorts": port, "prometheus.istio.io/merge-metrics": "false",
				"prometheus.io/scrape": "true", "prometheus.io/port": port, "prometheus.io/path": "/metrics",
			},
		},
		"spec": spec,
	}
}

func container(t *topology.Topology, cluster, image string) object {
	host := fmt.Sprintf("http://%s.%s.svc.cluster.local:%d/", topology.ProberName("%s"), topology.ProberNamespace, probe.PortApp)
	identity := fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", t.Spec.Mesh.TrustDomain, topology.ProberNamespace, topology.ProberName("%s"))
	args := []any{"prober", "-cluster=" + cluster, "-url=" + host, "-identity=" + identity}
	for _, peer := range Peers(t, cluster) {
		args = append(args, peer)
	}
	probed := func(path string, more object) object {
		p := object{"httpGet": object{"path": path, "port": "metrics"}}
		for k, v := range more {
			p[k] = v
		}
		return p
	}
	field := func(name, path string) object {
		return object{"name": name, "valueFrom": object{"fieldRef": object{"fieldPath": path}}}
	}
	return object{
		"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "args": args,
		"env":             []any{field(probe.EnvPod, "metadata.name"), field(probe.EnvUID, "metadata.uid")},
		"ports":           []any{object{"name": "http", "containerPort": probe.PortApp}, object{"name": "metrics", "containerPort": probe.PortMetrics}},
		"readinessProbe":  probed("/readyz", object{"periodSeconds": 5}),
		"livenessProbe":   probed("/healthz", object{"periodSeconds": 20, "initialDelaySeconds": 30}),
		"resources":       object{"requests": object{"cpu": "5m", "memory": "16Mi"}, "limits": object{"memory": "64Mi"}},
		"securityContext": object{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": []any{"ALL"}}},
	}
}

// Peers are the clusters whose probers that of a cluster asks: those that it knows.
func Peers(t *topology.Topology, cluster string) []string {
	return slices.DeleteFunc(t.Members(), func(c string) bool { return c == cluster || !t.Knows(cluster, c) })
}
