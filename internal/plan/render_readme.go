// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/render"
	"github.com/meshfed/meshfed/topology"
)

// readme says how a rendered folder is used. Its blocks of bash, one after the other, are a
// script that makes the mesh with kubectl and openssl alone; an end-to-end test runs them.
func (r Rendering) readme(m *Mesh) string {
	h := &byHand{m: m, t: m.Topology, said: map[string]bool{}}
	for _, manifest := range r.Manifests {
		for _, u := range manifest.Objects {
			if u.GetKind() == "Namespace" {
				h.once("namespace " + u.GetName() + " in " + manifest.Cluster) // no command makes it again
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Manifests of topology %s\n\n", m.Topology.Metadata.Name)
	fmt.Fprintf(&b, "Written by `meshfed render`; edits are lost when it runs again. `%s` lists the files that are its own.\n", render.Index)
	b.WriteString("Istio " + m.Topology.IstioRelease() + ". A folder for each cluster, and in it one for each stage: a stage is applied when the one before it is ready.\n\n")
	b.WriteString("| file | objects |\n|---|---|\n")
	for _, manifest := range r.Manifests {
		fmt.Fprintf(&b, "| `%s` | %s |\n", manifest.Path(), manifest.holds())
	}
	b.WriteString("\nEvery object carries `" + topology.LabelTopology + ": " + m.Topology.Metadata.Name + "` and no owner: `meshfed down` does not remove what it did not make.\n" +
		"The annotation `" + annotationWave + "` is the stage's number, for Argo CD. What istiod writes by itself is left out: the failure policy and\n" +
		"the certificates of its validating webhooks. istiod's pods wait for the secret `" + topology.CACertsSecret + "`: without it they would make a root of their own.\n")
	r.missing(&b)
	r.byKubectl(&b, h)
	return b.String()
}

// missing lists what is not rendered.
func (r Rendering) missing(b *strings.Builder) {
	b.WriteString("\n## What is not here\n\nPrivate keys, tokens and logins, and what does not follow from the topology file. Never commit the first three as they are.\n\n" +
		"| cluster | what | why |\n|---|---|---|\n")
	for _, o := range r.Omitted {
		fmt.Fprintf(b, "| %s | %s | %s |\n", o.Cluster, o.What, o.Why)
	}
}

// byKubectl are the commands that apply everything and make what is missing. Clusters without
// an istiod come after those that serve them.
func (r Rendering) byKubectl(b *strings.Builder, h *byHand) {
	b.WriteString("\n## With kubectl and openssl alone\n\n")
	if slices.ContainsFunc(h.m.Selected(), func(name string) bool { return h.t.Cluster(name).IsExternal() }) {
		b.WriteString("An external control plane and the cluster that it reads need each other in turn: `meshfed plan -o commands` has the order, with Helm in place of these folders.\n")
		return
	}
	b.WriteString("The blocks in order are a script for bash. `MANIFESTS` is this folder; run it in an empty folder outside of any repository,\nbecause keys are made there.\n\n" +
		"```bash\nset -euo pipefail\numask 077\n: \"${MANIFESTS:?the folder of this file}\"\n```\n")
	all, primaries, served := h.m.Selected(), r.those(h, true), r.those(h, false)
	section := func(title string, names []string, write func(name string) string) {
		var text strings.Builder
		for _, name := range names {
			text.WriteString(write(name))
		}
		if text.Len() > 0 {
			fmt.Fprintf(b, "\n%s\n\n```bash\n%s```\n", title, text.String())
		}
	}
	stage := func(stage string) func(string) string {
		return func(name string) string { return r.apply(h, name, stage) }
	}
	section("Namespaces and definitions:", all, func(name string) string {
		return r.apply(h, name, stageDefinitions) +
			h.kubectl(name, "wait", "--for=condition=Established", "--timeout=2m", "crd", "--selector="+topology.LabelTopology+"="+h.t.Metadata.Name)
	})
	_, root := h.root()
	fmt.Fprintf(b, "\nOne root for all clusters. Where the mesh has one, take it instead:\n\n```bash\n%s```\n", root)
	section("An intermediate for each control plane:", primaries, func(name string) string {
		_, shell := h.caCerts(name)
		return shell
	})
	if h.t.Spec.Images.PullSecret != "" {
		section("The login by which nodes pull:", all, func(name string) string {
			_, shell := h.pullSecret(name)
			return shell
		})
	}
	section("Control planes:", primaries, stage(stageControlPlane))
	section("Gateways:", primaries, stage(stageGateways))
	section("Mesh-wide settings, and services exposed to other networks:", primaries, stage(stageMesh))
	for _, name := range served {
		if !r.has(name, "istiod-remote") {
			fmt.Fprintf(b, "\nWhat leads to the istiod of %[2]s is missing, see above: the blocks for %[1]s are not complete.\n", name, h.t.Primary(name))
		}
	}
	section("Clusters that another one's istiod serves:", served, stage(stageControlPlane))
	section("Credentials by which each control plane reads the others. The tokens end after "+h.t.Spec.Credentials.Lifetime.String()+"\nor sooner, as the API server grants them; run this block again before:", all, func(name string) string {
		text := ""
		for _, peer := range h.t.Peers(name) {
			text += h.reader(name, peer)
		}
		return text
	})
	section("What istiod injects in the clusters that it serves, now that it reads them:", served, func(name string) string {
		return r.apply(h, name, stageGateways) + r.apply(h, name, stageMesh)
	})
}

// those are the clusters that run an istiod, or those that do not.
func (r Rendering) those(h *byHand, primary bool) []string {
	return slices.DeleteFunc(slices.Clone(h.m.Selected()), func(name string) bool { return h.t.Cluster(name).IsPrimary() != primary })
}

// apply is one stage of one cluster, and the wait until it is ready.
func (r Rendering) apply(h *byHand, name, stage string) string {
	for _, has := range r.stages(name) {
		if has != stage {
			continue
		}
		text := "kubectl --context " + word(h.t.Context(name)) + ` apply --server-side -f "$MANIFESTS"/` + word(name+"/"+stage) + "\n"
		for _, w := range r.workloads(name, stage) {
			text += h.kubectl(name, "rollout", "status", "--timeout=6m", "-n", w[0], w[1])
		}
		if stage == stageControlPlane && r.has(name, "loadbalancer") { // kubeadm keeps control-plane nodes out of load balancing
			text += h.kubectl(name, "label", "nodes", "--all", "node.kubernetes.io/exclude-from-external-load-balancers-")
		}
		return text
	}
	return ""
}

// reader is the remote secret of a pair, made by kubectl: what istioctl create-remote-secret
// makes, with a token that ends. The token goes through the shell's memory and a pipe, never
// through a command line.
func (h *byHand) reader(from, to string) string {
	server := h.server(to)
	kubectl := "kubectl --context " + word(h.t.Context(to)) + " -n " + topology.SystemNamespace
	return "token=$(" + kubectl + " create token " + topology.ReaderServiceAccount + " --duration=" + h.t.Spec.Credentials.Lifetime.String() + ")\n" +
		"ca=$(" + kubectl + ` get configmap kube-root-ca.crt -o jsonpath='{.data.ca\.crt}' | base64 | tr -d '\n')` + "\n" +
		"kubectl --context " + word(h.t.Context(from)) + " apply --server-side -f - <<EOF\n" + fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata:
  name: %[1]s
  namespace: %[2]s
  labels: {%[3]s: "true"}
  annotations: {%[4]s: %[5]q}
stringData:
  %[5]s: |
    apiVersion: v1
    kind: Config
    clusters: [{name: %[5]q, cluster: {server: %[6]q, certificate-authority-data: $ca}}]
    users: [{name: %[5]q, user: {token: $token}}]
    contexts: [{name: %[5]q, context: {cluster: %[5]q, user: %[5]q}}]
    current-context: %[5]q
`, topology.RemoteSecretName(to), topology.SystemNamespace, topology.LabelMultiCluster, topology.AnnotationCluster, to, server) + "EOF\n"
}
