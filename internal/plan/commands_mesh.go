// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/charts"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/topology"
)

// istioCharts is where Istio publishes its charts
// (https://istio.io/latest/docs/setup/install/helm/).
const istioCharts = "https://istio-release.storage.googleapis.com/charts"

// metalLB are the commands that give a cluster load-balancer addresses.
func (h *byHand) metalLB(c *topology.Cluster) (note, shell string) {
	if c.LoadBalancer.Type != topology.LoadBalancerMetalLB {
		return "A MetalLB that up installed and that the file no longer asks for would be deleted here: helm uninstall metallb -n " + topology.MetalLBNamespace, ""
	}
	values := install.MetalLB{Mesh: h.m.install()}.Release().Values
	if controller, ok := values["controller"].(map[string]any); ok {
		delete(controller, "webhookMode") // without it, what is applied below would be checked by nobody
	}
	pool := map[string]any{"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
		"metadata": map[string]any{"name": "meshfed", "namespace": topology.MetalLBNamespace}, "spec": map[string]any{"addresses": h.addresses(c)}}
	announce := map[string]any{"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
		"metadata": map[string]any{"name": "meshfed", "namespace": topology.MetalLBNamespace}, "spec": map[string]any{"ipAddressPools": []string{"meshfed"}}}
	return "Addresses of the container network for Services of type LoadBalancer. kubeadm keeps control-plane nodes out of load balancing, which would leave none on a cluster of one node. " +
			"up turns MetalLB's webhooks off and checks the pool itself.", lines(
			h.namespace(c.Name, topology.MetalLBNamespace),
			h.kubectl(c.Name, "label", "namespace", topology.MetalLBNamespace, "pod-security.kubernetes.io/enforce=privileged"),
			h.kubectl(c.Name, "label", "nodes", "--all", "node.kubernetes.io/exclude-from-external-load-balancers-"),
			h.helm(c.Name, topology.MetalLBNamespace, "metallb", chartWords(charts.MetalLB(h.t)), values),
			h.apply(c.Name, pool, announce))
}

// chart are the commands that install one of Istio's charts.
func (h *byHand) chart(step string, c *topology.Cluster) (note, shell string) {
	in := h.m.install()
	release, chart := step, step
	var values map[string]any
	switch step {
	case "istio-base":
		chart = "base"
		values = install.IstioBase{Mesh: in}.Values(c)
		note = "Istio's custom resource definitions, and what all revisions share."
	case "istiod":
		values = install.Istiod{Mesh: in}.Values(c)
		release = h.t.IstiodName()
		note = "All clusters have one mesh ID and one trust domain, and each its own cluster name and network: these three decide what istiod makes of another cluster's endpoints."
	case "ingress":
		release, chart = topology.IngressGateway, "gateway"
		values = install.IngressGateway{Mesh: in}.Values(c)
		note = "The gateway for clients outside of the mesh; its node port is where the host port leads."
	case "eastwest":
		release, chart = topology.EastWestGateway, "gateway"
		values = install.EastWestGateway{Mesh: in}.Values(c)
		note = "The gateway for the other networks. sni-dnat gives it a listener for every service of its network; the label on its Service tells every istiod that this is the way in."
	}
	return note, h.helm(c.Name, topology.SystemNamespace, release, h.istioChart(chart), values)
}

// istioChart names a chart for helm, wherever the file says it comes from.
func (h *byHand) istioChart(name string) []string {
	if dir := h.t.Spec.Istio.Charts.Directory; dir != "" {
		return []string{path.Join(dir, name)}
	}
	for _, ref := range charts.Istio(h.t) {
		if ref.Name == name {
			return chartWords(ref)
		}
	}
	return chartWords(charts.Ref{Repository: istioCharts, Name: name, Version: h.t.IstioRelease()})
}

// chartWords names a chart of a repository for helm.
func chartWords(ref charts.Ref) []string {
	if !strings.HasPrefix(ref.Repository, "oci://") {
		return []string{ref.Name, "--repo", ref.Repository, "--version", ref.Version}
	}
	words := []string{strings.TrimSuffix(ref.Repository, "/") + "/" + ref.Name, "--version", ref.Version}
	if ref.Plain {
		words = append(words, "--plain-http")
	}
	return words
}

// helm installs a chart with values.
func (h *byHand) helm(cluster, namespace, release string, chart []string, values map[string]any) string {
	words := append([]string{"helm", "upgrade", "--install", release}, chart...)
	words = append(words, "--kube-context", h.t.Context(cluster), "--namespace", namespace, "--wait", "--timeout", "6m")
	return command(append(words, setFlags(values)...)...)
}

// namespaces are the commands that make and label the file's own namespaces.
func (h *byHand) namespaces(cluster string) (note, shell string) {
	key, value := h.t.Injection()
	for _, n := range h.t.Spec.Namespaces {
		shell += h.namespace(cluster, n.Name)
		if n.Inject {
			shell += h.kubectl(cluster, "label", "namespace", n.Name, key+"="+value)
		}
	}
	return "The label asks for sidecars in all pods that are made from now on.", shell
}

func (h *byHand) mtls(name string) (note, shell string) {
	if h.t.Spec.Mesh.MTLS != topology.MTLSStrict {
		return "Permissive is what Istio does without a policy; a policy that up has made earlier would be deleted here.", ""
	}
	return "Strict for the whole mesh: a policy in the root namespace.", h.apply(name, map[string]any{
		"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
		"metadata": map[string]any{"name": "default", "namespace": topology.SystemNamespace}, "spec": map[string]any{"mtls": map[string]any{"mode": "STRICT"}}})
}

func (h *byHand) expose(name string) (note, shell string) {
	what := "every service"
	if len(h.t.ExposedHosts(name)) > 0 {
		what = "the services named"
	}
	return "Lets the other networks reach " + what + " of this cluster, by the name in the TLS handshake. TLS does not end here: caller and callee check each other.", h.applyObjects(name, h.m.exposure(name).Gateway())
}

func (h *byHand) remoteSecret(from, to string) (note, shell string) {
	server := h.server(to)
	if h.once("note on remote secrets") {
		note = "By this secret istiod of " + from + " reads services and pods of " + to + ". The server is an address that pods of " + from + " reach, which the loopback address in a kubeconfig is not. " +
			"istioctl's token lasts until somebody deletes it; up asks for one of " + h.t.Spec.Credentials.Lifetime.String() + ", tries it, and renews it."
	}
	return note, lines(
		strings.TrimSuffix(command("istioctl", "create-remote-secret", "--context", h.t.Context(to), "--name", to, "--server", server), "\n") + " |\n  " +
			h.kubectl(from, "apply", "-f", "-"))
}

// server is where pods of the other clusters reach a cluster's API.
func (h *byHand) server(name string) string {
	server := h.t.Cluster(name).APIServer.PeerAddress
	if server == "" {
		server = "https://" + h.t.KindName(name) + "-control-plane:6443"
	}
	if url, err := federation.ServerURL(server); err == nil {
		return url
	}
	return server
}

// apply is kubectl apply of objects that are written out.
func (h *byHand) apply(cluster string, objects ...map[string]any) string {
	var texts []string
	for _, object := range objects {
		text, err := yaml.Marshal(object)
		if err != nil {
			text = fmt.Appendf(nil, "# %v\n", err)
		}
		texts = append(texts, string(text))
	}
	return here(h.kubectl(cluster, "apply", "-f", "-"), strings.Join(texts, "---\n"))
}

// setFlags are the flags by which helm gets the same values, keys and tokens blotted out.
func setFlags(values map[string]any) []string {
	data, err := json.Marshal(values)
	clean := map[string]any{}
	if err == nil {
		err = json.Unmarshal(run.RedactJSON(data), &clean)
	}
	if err != nil {
		return nil
	}
	return flagsOf("", clean)
}

func flagsOf(prefix string, tree map[string]any) []string {
	var flags []string
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		at := prefix + strings.NewReplacer(`\`, `\\`, ".", `\.`, ",", `\,`, "=", `\=`, "[", `\[`).Replace(key)
		switch value := tree[key].(type) {
		case map[string]any:
			if len(value) > 0 {
				flags = append(flags, flagsOf(at+".", value)...)
				continue
			}
			flags = append(flags, "--set-json", at+"={}")
		case bool:
			flags = append(flags, "--set", fmt.Sprintf("%s=%t", at, value))
		case string:
			flags = append(flags, textFlag(at, value)...)
		default:
			data, err := json.Marshal(value)
			if err != nil {
				continue
			}
			form := "--set-json"
			if regexp.MustCompile(`^(0|[1-9][0-9]{0,15})$`).Match(data) {
				form = "--set"
			}
			flags = append(flags, form, at+"="+string(data))
		}
	}
	return flags
}

// textFlag keeps helm from taking a text for something else: a number, a truth, a list.
func textFlag(at, value string) []string {
	switch {
	case regexp.MustCompile(`^(true|false|null|[+-]?[0-9]+)$`).MatchString(strings.ToLower(value)):
		return []string{"--set-string", at + "=" + value}
	case regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./:@%+-]*$`).MatchString(value):
		return []string{"--set", at + "=" + value}
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return []string{"--set-json", at + "=" + string(data)}
}
