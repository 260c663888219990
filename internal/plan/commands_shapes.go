// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/topology"
)

// atAddress stands for the address of an istiod, which only a script that runs knows.
const atAddress = "ISTIOD_ADDRESS"

// systemNamespace are the commands that make istio-system.
func (h *byHand) systemNamespace(name string) (note, shell string) {
	c := h.t.Cluster(name)
	shell = h.namespace(name, topology.SystemNamespace)
	if c.IsExternal() {
		return "", shell
	}
	note = "The label says in which network the cluster's pods are. Without it istiod takes every endpoint for one that can be reached from everywhere."
	shell += h.kubectl(name, "label", "namespace", topology.SystemNamespace, topology.LabelNetwork+"="+c.Network)
	if !c.IsPrimary() {
		shell += h.kubectl(name, "annotate", "namespace", topology.SystemNamespace, topology.AnnotationControlPlanes+"="+c.Config)
	}
	return note, shell
}

// remoteIstiod are the commands that lead a cluster to the istiod of another one.
func (h *byHand) remoteIstiod(c *topology.Cluster) (note, shell string) {
	service := topology.EastWestGateway
	if h.t.Cluster(c.Primary).IsExternal() {
		service = topology.IstiodExternal
	}
	values := install.RemoteIstiod{Mesh: h.m.install(), Address: atAddress}.Values(c)
	release := h.m.istiodService()
	helm := h.helm(c.Name, topology.SystemNamespace, release, h.istioChart("istiod"), values)
	flag := "global.remotePilotAddress=" + atAddress
	return "No istiod runs here: Service istiod leads to that of " + c.Primary + ", whose certificate holds for the same name, and so does the webhook that injects pods. The annotation on istio-system, by the name of the cluster that istiod reads, lets it take this cluster on.",
		lines(atAddress+"=$("+strings.TrimSuffix(h.kubectl(c.Primary, "-n", topology.SystemNamespace, "get", "service", service, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"), "\n")+")\n",
			strings.Replace(helm, flag, `"global.remotePilotAddress=$`+atAddress+`"`, 1))
}

// exposeIstiod are the commands that let clusters without an istiod reach that of another one.
func (h *byHand) exposeIstiod(name string) (note, shell string) {
	note = "The clusters that this istiod serves reach it through the east-west gateway, which passes their TLS on: 15012 for configuration and certificates, 15017 for webhooks."
	return note, h.applyObjects(name, federation.IstiodExposure{Service: h.m.istiodService()}.Objects()...)
}

// serve are the commands that give an external istiod an address.
func (h *byHand) serve(name string) (note, shell string) {
	return "The clusters that this istiod serves reach it at a Service of its own.",
		h.applyObjects(name, install.ExternalService{Mesh: install.Mesh{Topology: h.t}}.Service())
}

// istiodKubeconfig are the commands that give an external istiod what it reads.
func (h *byHand) istiodKubeconfig(from, to string) (note, shell string) {
	file, ca := "istiod-"+to+".kubeconfig", to+"-api-ca.pem"
	config := func(words ...string) string {
		return command(append([]string{"kubectl", "config", "--kubeconfig", file}, words...)...)
	}
	token := strings.TrimSuffix(h.kubectl(to, "-n", topology.SystemNamespace, "create", "token", h.m.istiodService(), "--duration", h.t.Spec.Credentials.Lifetime.String()), "\n")
	return "istiod of " + from + " reads " + to + " with an account that the chart made there. The kubeconfig names the token as a file, which is read again as it changes; up binds the token to a Secret, whose deletion revokes it, and renews it.",
		lines(
			strings.TrimSuffix(h.kubectl(to, "-n", "kube-system", "get", "configmap", "kube-root-ca.crt", "-o", `jsonpath={.data.ca\.crt}`), "\n")+" >"+ca+"\n",
			config("set-cluster", to, "--server", h.server(to), "--certificate-authority", ca, "--embed-certs"),
			config("set", "users."+to+".tokenFile", "/var/run/secrets/remote/token"),
			config("set-context", to, "--cluster", to, "--user", to),
			config("use-context", to),
			strings.TrimSuffix(h.kubectl(from, "-n", topology.SystemNamespace, "create", "secret", "generic", topology.IstiodKubeconfigSecret, "--from-file=config="+file), "\n")+
				" \\\n  --from-file=token=<("+token+")\n")
}

// applyObjects is kubectl apply of typed objects.
func (h *byHand) applyObjects(cluster string, objects ...client.Object) string {
	var trees []map[string]any
	for _, object := range objects {
		tree := map[string]any{}
		data, err := json.Marshal(object)
		if err == nil {
			err = json.Unmarshal(data, &tree)
		}
		if err != nil {
			return "# an object can not be written: " + err.Error() + "\n"
		}
		delete(tree, "status")
		if metadata, ok := tree["metadata"].(map[string]any); ok {
			delete(metadata, "creationTimestamp")
			delete(metadata, "labels")
		}
		trees = append(trees, tree)
	}
	return h.apply(cluster, trees...)
}
