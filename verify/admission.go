// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// final says whether the API server's no to a pod stays one: a policy, a quota or a webhook said
// it, and not a controller that comes a moment later. A webhook may give any status; the words
// around its own are the API server's.
func final(err error) bool {
	words := err.Error()
	return apierrors.IsInvalid(err) || strings.Contains(words, "denied the request") || strings.Contains(words, "denied request") ||
		apierrors.IsForbidden(err) && !strings.Contains(words, "serviceaccount")
}

// explain is the client's Explain, but for a no of which it is known who said it: then not the
// credentials are why. The role is that of a pod, "" for another object. Nil stays nil.
func (m *member) explain(err error, operation string, r role) error {
	if err == nil {
		return nil
	}
	if hint := remedy(err.Error(), r, m.namespace); hint != "" {
		return diag.Op(diag.Hint(err, hint), m.name, operation)
	}
	return m.client.Explain(err, operation)
}

// remedy is what helps against a no of the API server; "" for one that is not known.
func remedy(words string, r role, namespace string) string {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(words, part) })
	}
	switch {
	case has("violates PodSecurity") && r != roleOutsider:
		return "the probe itself keeps to restricted, its sidecar's init container does not: Istio's CNI plugin does without it, or exempt namespace " + namespace
	case has("exceeded quota", "failed quota", " per Container is ", " per Pod is "):
		return "spec.verify.probe.resources says what each probe asks for, beside its sidecar"
	case has("denied the request", "denied request"):
		return "exempt namespace " + namespace + ", or name an allowed one in spec.verify.probe.namespace"
	}
	return ""
}

// injected returns an error when a pod that needs a sidecar got none as it was made: what it
// would send is no mesh traffic.
func (m *member) injected(ctx context.Context) error {
	for _, r := range m.cast() {
		if r == roleOutsider || sidecar(m.pod(r)) {
			continue
		}
		key, value := m.mesh.Topology.Injection()
		err := fmt.Errorf("no sidecar was injected: the %s in %s came without one in namespace %s, labelled %s=%s; %s", r, m.name, m.namespace, key, value, m.injectors(ctx))
		return diag.Hint(err, "spec.istio.revision or spec.istio.tag says what injects")
	}
	return nil
}

// sidecar says whether a pod has Istio's proxy, as a container or a native sidecar.
func sidecar(p *corev1.Pod) bool {
	return p != nil && slices.ContainsFunc(slices.Concat(p.Spec.InitContainers, p.Spec.Containers), func(c corev1.Container) bool {
		return strings.HasPrefix(c.Name, "istio-proxy")
	})
}

// injectors says by which revisions and tags a cluster injects, by the webhooks that istiod and
// istioctl write.
func (m *member) injectors(ctx context.Context) string {
	var list admissionv1.MutatingWebhookConfigurationList
	if err := m.client.List(ctx, &list, client.MatchingLabels{"app": "sidecar-injector"}); err != nil {
		return "which revisions there are could not be read: " + sentence(m.client.Explain(err, "listing injection webhooks"))
	}
	var all []string
	for _, hook := range list.Items {
		revision := topology.RevisionOf(hook.Labels)
		if tag := hook.Labels["istio.io/tag"]; tag != "" {
			all = append(all, fmt.Sprintf("tag %s of revision %s", tag, revision))
			continue
		}
		all = append(all, "revision "+revision)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return "there is no injection webhook"
	}
	return "there is " + strings.Join(slices.Compact(all), ", ")
}

// unready adds to an error about probes that did not become ready what may keep sidecars from
// istiod. Nil stays nil.
func (m *member) unready(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	key := types.NamespacedName{Namespace: m.namespace, Name: topology.RootCertConfigMap}
	if kube.Absent(m.client.Get(ctx, key, &corev1.ConfigMap{})) {
		return diag.Hint(err, "istiod has not written ConfigMap "+topology.RootCertConfigMap+" into namespace "+m.namespace+
			", which pods with a sidecar wait for: is it left out by meshConfig.discoverySelectors?")
	}
	if !strings.Contains(err.Error(), "istio-proxy runs but is not ready") {
		return err
	}
	hint := "a sidecar is ready once istiod has given it certificate and configuration, on port 15012"
	in := Within{Network: m.networkPolicies(ctx), Refused: m.refusals()}
	return diag.Hint(err, strings.Join(append([]string{hint}, in.blame(false, in.Network)...), "; "))
}
