// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// OwnReader is the account, ClusterRole and Role that may read what a multi-primary peer
// needs and no Secret.
const OwnReader = "meshfed-remote-reader"

// SecretsSwitch is the variable in istiod's environment that, when "false", makes istiod read
// no Secrets of its peers. Source: EnableRemoteCredentialsController in Istio's
// pilot/pkg/features/pilot.go. It is safe where every istiod serves only the proxies of its
// own cluster, as multi-primary does: Secrets of a peer are read only to hand gateway
// certificates to that peer's proxies.
const SecretsSwitch = "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER"

// account chooses which service account of a peer the istiod of cluster in reads with: our
// own with few rights when every istiod there says that it reads no Secrets, else Istio's
// reader, which may read every Secret and ConfigMap. An istiod that wants Secrets, or the
// mesh configuration of another revision, and may not would never be synced.
func account(ctx context.Context, in *kube.Client) (string, error) {
	var list appsv1.DeploymentList
	err := in.List(ctx, &list, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{"app": "istiod"})
	if err != nil {
		return "", in.Explain(err, "reading how istiod is set up")
	}
	for i := range list.Items {
		if !readsNoSecrets(&list.Items[i]) {
			return topology.ReaderServiceAccount, nil
		}
	}
	if len(list.Items) == 0 {
		return topology.ReaderServiceAccount, nil
	}
	return OwnReader, nil
}

func readsNoSecrets(d *appsv1.Deployment) bool {
	if revision := d.Labels["istio.io/rev"]; revision != "" && revision != "default" {
		return false
	}
	for _, container := range d.Spec.Template.Spec.Containers {
		for _, env := range container.Env {
			if env.Name == SecretsSwitch && env.Value == "false" {
				return true
			}
		}
	}
	return false
}

// readerObjects are the account OwnReader and what it may do. The rules are what istiod's
// informers for a remote cluster ask for; docs/adr/0004-bounded-tokens.md says which needs
// what.
func readerObjects(labels map[string]string) []client.Object {
	read := []string{"get", "list", "watch"}
	rule := func(group string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: read}
	}
	meta := metav1.ObjectMeta{Name: OwnReader, Labels: labels}
	inSystem := metav1.ObjectMeta{Name: OwnReader, Namespace: topology.SystemNamespace, Labels: labels}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: OwnReader, Namespace: topology.SystemNamespace}}
	return []client.Object{
		&corev1.ServiceAccount{ObjectMeta: inSystem},
		&rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			rule("", "namespaces", "nodes", "pods", "services"),
			rule("discovery.k8s.io", "endpointslices"),
			rule("apiextensions.k8s.io", "customresourcedefinitions"),
			rule("networking.istio.io", "workloadentries"),
			rule("gateway.networking.k8s.io", "gateways"),
			rule("multicluster.x-k8s.io", "serviceexports", "serviceimports"),
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: OwnReader}},
		// The peer's mesh configuration, for its trust domain: one ConfigMap, not all.
		&rbacv1.Role{ObjectMeta: inSystem, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"istio"}, Verbs: read},
		}},
		&rbacv1.RoleBinding{ObjectMeta: inSystem, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: OwnReader}},
	}
}

// Granted says in one line what theft of a remote secret with this account gives.
func Granted(account string) string {
	if account == OwnReader {
		return "may read pods, services, endpoints, nodes, namespaces and workload entries; no Secrets, of ConfigMaps only istio-system/istio"
	}
	return "may read every Secret and ConfigMap of the cluster besides pods, services and Istio's configuration"
}

// ensureAccount makes our own account with its rights, or insists that Istio's is there.
func ensureAccount(ctx context.Context, of *kube.Client, name string, labels map[string]string) error {
	if name == OwnReader {
		return of.Apply(ctx, readerObjects(labels)...)
	}
	err := of.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: name}, &corev1.ServiceAccount{})
	if err == nil {
		return nil
	}
	if kube.Absent(err) {
		err = diag.Hint(err, fmt.Sprintf("Istio's base and istiod charts make service account %s; is Istio installed in %s?", name, of.Cluster))
	}
	return of.Explain(err, "looking for service account "+name)
}

// readerDiffers lists where the rights of our own account are not what readerObjects says.
func readerDiffers(ctx context.Context, of *kube.Client, name string, labels map[string]string) ([]graph.FieldChange, error) {
	if name != OwnReader {
		return nil, nil
	}
	var all []graph.FieldChange
	for _, obj := range readerObjects(labels) {
		what := fmt.Sprintf("%T %s", obj, OwnReader)
		what = what[strings.LastIndex(what, ".")+1:]
		fields, exists, err := of.Drift(ctx, obj)
		if err != nil {
			return nil, err
		}
		if !exists {
			fields = []graph.FieldChange{{Old: "absent", New: "present"}}
		}
		for _, f := range fields {
			f.Path = strings.TrimSpace(what + " " + f.Path)
			all = append(all, f)
		}
	}
	return all, nil
}

// RemoveReader deletes OwnReader with its rights, which ends every token of it; absent is
// success.
func RemoveReader(ctx context.Context, of *kube.Client) error {
	return of.Remove(ctx, readerObjects(nil)...)
}
