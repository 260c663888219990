//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshfed/meshfed/topology"
)

// transient are kinds of which each cluster has others at any time.
var transient = []string{
	"Event", "Lease", "Pod", "ReplicaSet", "EndpointSlice", "Endpoints", "ControllerRevision", "PodMetrics", "NodeMetrics",
	"ComponentStatus", "IPAddress", "CertificateSigningRequest", "ServiceBGPStatus", "ServiceL2Status",
}

// everything lists all objects of a cluster, of every kind that can be listed.
func everything(t *testing.T, m *mesh, name string) map[string]*unstructured.Unstructured {
	t.Helper()
	c := m.client(name)
	lists, err := c.Clientset.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*unstructured.Unstructured{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(transient, r.Kind) {
				continue
			}
			found := &unstructured.UnstructuredList{}
			found.SetGroupVersionKind(version.WithKind(r.Kind + "List"))
			if err := c.List(contextFor(t, time.Minute), found); err != nil {
				t.Fatalf("%s: listing %s: %v", name, r.Kind, err)
			}
			for i := range found.Items {
				u := &found.Items[i]
				all[u.GetKind()+"."+version.Group+" "+u.GetNamespace()+"/"+u.GetName()] = u
			}
		}
	}
	return all
}

// likened takes away from an object what says who made it and when, and what the cluster
// chose; false leaves out the whole object. This list is what differs between a mesh that `up`
// made and one that kubectl made, and nothing else does:
//   - Helm's records, annotations and label, and the annotation by which Argo CD orders manifests;
//   - our owner's label, and all of our labels and annotations on what was made by hand;
//   - what keys and tokens are, and the Secret that revokes a token of ours;
//   - istiod's pods may start without cacerts when `up` sees to the order, and not otherwise.
func likened(u *unstructured.Unstructured, tree map[string]any) bool {
	if u.GetKind() == "Secret" {
		kind, _, _ := unstructured.NestedString(tree, "type")
		if strings.HasPrefix(kind, "helm.sh/") || strings.HasPrefix(u.GetName(), "meshfed-remote-") || kind == "bootstrap.kubernetes.io/token" {
			return false
		}
	}
	meta := tree["metadata"].(map[string]any)
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences"} {
		delete(meta, field)
	}
	delete(tree, "status")
	prune(meta, "labels", topology.LabelOwner)
	prune(meta, "labels", "app.kubernetes.io/managed-by")
	for _, key := range []string{"meta.helm.sh/release-name", "meta.helm.sh/release-namespace", "argocd.argoproj.io/sync-wave",
		"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation", topology.AnnotationExpires} {
		prune(meta, "annotations", key)
	}
	switch u.GetKind() {
	case "Secret":
		values(tree, "data")
		prune(meta, "labels", topology.LabelTopology)
	case "ConfigMap":
		prune(meta, "annotations", "control-plane.alpha.kubernetes.io/leader")
		if u.GetName() == topology.RootCertConfigMap {
			values(tree, "data")
		}
	case "Namespace", "ServiceAccount":
		delete(tree, "spec")
	case "Node":
		delete(tree, "spec")
		delete(meta, "annotations")
	case "Service":
		spec := tree["spec"].(map[string]any)
		for _, field := range []string{"clusterIP", "clusterIPs", "healthCheckNodePort"} {
			delete(spec, field)
		}
		each(spec["ports"], func(port map[string]any) {
			if node, _ := port["nodePort"].(float64); int(node) != topology.IngressHTTPNodePort {
				delete(port, "nodePort")
			}
		})
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		each(tree["webhooks"], func(hook map[string]any) { delete(hook["clientConfig"].(map[string]any), "caBundle") })
	case "Deployment":
		volumes, _, _ := unstructured.NestedFieldNoCopy(tree, "spec", "template", "spec", "volumes")
		each(volumes, func(volume map[string]any) {
			if secret, ok := volume["secret"].(map[string]any); ok && secret["secretName"] == topology.CACertsSecret {
				delete(secret, "optional")
			}
		})
	}
	return true
}

// prune deletes a key of a map, and the map with its last key.
func prune(meta map[string]any, field, key string) {
	if all, ok := meta[field].(map[string]any); ok {
		delete(all, key)
		if len(all) == 0 {
			delete(meta, field)
		}
	}
}

// values keeps the keys of a map and no values.
func values(tree map[string]any, field string) {
	if all, ok := tree[field].(map[string]any); ok {
		for key := range all {
			all[key] = "(some)"
		}
	}
}

func each(list any, do func(map[string]any)) {
	all, _ := list.([]any)
	for _, one := range all {
		do(one.(map[string]any))
	}
}
