// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/topology"
)

// host are the commands that find out whether this host will do.
func (h *byHand) host() (note, shell string) {
	shell = command(engineWord, "info", "--format", "{{json .}}")
	shell = strings.TrimSuffix(shell, "\n") + " > /dev/null\n" + command("df", "-h", "/")
	for _, name := range h.m.Selected() {
		for _, port := range h.m.hostPorts(name) {
			shell += command("ss", "-ltnH", fmt.Sprintf("sport = :%d", port)) // a line for each listener
		}
	}
	return "An engine that answers, about 2 GiB of disk for each cluster, and host ports on which nobody listens (ss prints who does).", shell
}

// network are the commands that make the container network.
func (h *byHand) network() (note, shell string) {
	name := h.t.NetworkName()
	export := lines(
		"export KIND_EXPERIMENTAL_PROVIDER=$ENGINE\n",
		"export KIND_EXPERIMENTAL_DOCKER_NETWORK="+word(name)+" KIND_EXPERIMENTAL_PODMAN_NETWORK="+word(name)+"\n")
	if !h.t.OwnsNetwork() {
		return "The file names a network of somebody else's: it is joined, never made and never removed. The load balancers' addresses below are written as if it were " +
			firstSubnet().String() + "; up takes the network's own subnet, and asks first whether somebody answers there.", export
	}
	return "Nodes get addresses of the lower half, load balancers of the upper half. up takes the first /24 that nothing on this host overlaps, here written as " + firstSubnet().String() + ".", lines(
		command(engineWord, "network", "create", "--subnet", firstSubnet().String(), "--ip-range", h.t.NodeRange(firstSubnet()).String(),
			"--label", topology.LabelTopology+"="+h.t.Metadata.Name, "--label", ownerLabel, name), export)
}

// nodeImages are the commands that fetch what the nodes are made from.
func (h *byHand) nodeImages() (note, shell string) {
	for _, name := range h.m.Selected() {
		if image := h.m.images(name).Node; image != "" && h.once("node image "+image) {
			shell += command(engineWord, "pull", image)
		}
	}
	return "On a host without a registry up takes the node image of a bundle, which has all other images in it.", shell
}

// kindConfig is kind's configuration file, as far as it follows from the topology.
type kindConfig struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Networking struct {
		PodSubnet     string `json:"podSubnet,omitempty"`
		ServiceSubnet string `json:"serviceSubnet,omitempty"`
	} `json:"networking"`
	Nodes   []kindNode `json:"nodes"`
	Patches []string   `json:"kubeadmConfigPatches,omitempty"`
	Runtime []string   `json:"containerdConfigPatches,omitempty"`
}

type kindNode struct {
	Role   string            `json:"role"`
	Labels map[string]string `json:"labels,omitempty"`
	Ports  []kindPort        `json:"extraPortMappings,omitempty"`
}

type kindPort struct {
	ContainerPort int    `json:"containerPort"`
	HostPort      int    `json:"hostPort"`
	ListenAddress string `json:"listenAddress"`
}

// makeCluster are the commands that make a kind cluster.
func (h *byHand) makeCluster(c *topology.Cluster) (note, shell string) {
	name, image := h.t.KindName(c.Name), h.m.images(c.Name).Node
	spec := h.m.kindSpec(c.Name)
	config := kindConfig{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"}
	config.Networking.PodSubnet, config.Networking.ServiceSubnet = spec.PodSubnet, spec.ServiceSubnet
	for _, n := range spec.Nodes {
		config.Nodes = append(config.Nodes, kindNode{Role: n.Role, Labels: n.Labels})
	}
	for _, p := range spec.Ports {
		for i := range config.Nodes {
			if config.Nodes[i].Role == "control-plane" {
				config.Nodes[i].Ports = append(config.Nodes[i].Ports, kindPort{ContainerPort: p.Node, HostPort: p.Host, ListenAddress: "127.0.0.1"})
				break
			}
		}
	}
	for _, patch := range spec.Patches {
		if target, err := topology.PatchTarget(patch); err == nil && target == topology.PatchContainerd {
			config.Runtime = append(config.Runtime, patch)
		} else {
			config.Patches = append(config.Patches, patch)
		}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return "kind's configuration can not be written: " + err.Error(), ""
	}
	return "Subnets differ from those of the other clusters, node labels are the locality, and ports lead from loopback to node ports of the ingress gateway.", lines(
		here("cat > "+word(c.Name+"-kind.yaml"), string(text)),
		command("kind", "create", "cluster", "--name", name, "--image", image, "--config", c.Name+"-kind.yaml", "--wait", "3m"),
		command("kubectl", "config", "rename-context", "kind-"+name, h.t.Context(c.Name)))
}

// routes are the commands that lead from the nodes of one cluster to the pods of another.
func (h *byHand) routes(from, to string) (note, shell string) {
	return "Both are in one network: their pods must reach each other without a gateway. Each node learns where the pods of each node of the other cluster are. Routes do not outlive a restart of the node.",
		strings.TrimSuffix(h.kubectl(to, "get", "nodes", "-o", `jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR}{"\n"}{end}`), "\n") + " |\n" +
			"  while read -r peer pods; do\n" +
			"    via=$(" + engineWord + ` inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$peer")` + "\n" +
			"    for node in $(kind get nodes --name " + word(h.t.KindName(from)) + "); do\n" +
			"      " + engineWord + ` exec "$node" ip route replace "$pods" via "$via" </dev/null` + "\n" +
			"    done\n" +
			"  done\n"
}

// owner are the commands that write down whose cluster it is.
func (h *byHand) owner(name string) (note, shell string) {
	return "A note in the cluster says whose it is, for commands that have lost their own notes.", lines(
		h.kubectl(name, "-n", topology.OwnerNamespace, "create", "configmap", topology.OwnerConfigMap, "--from-literal=topology="+h.t.Metadata.Name,
			ownerRecord, "--from-literal=mesh="+h.t.Spec.Mesh.ID))
}

// root are the commands that make the root certificate.
func (h *byHand) root() (note, shell string) {
	generate := h.t.Spec.Certificates.Root.Generate
	if generate == nil {
		return "The file brings a root of its own; copy its certificate to root-cert.pem and its key to root-key.pem.", ""
	}
	return "One root for all clusters is what lets their workloads trust each other. Its key signs the intermediates and goes into no cluster.", lines(
		here("cat > root.cnf", authority("root."+h.t.Spec.Mesh.ID, h.t.Spec.Mesh.ID, "critical, CA:TRUE", "critical, keyCertSign, cRLSign", "")),
		newKey(generate.Algorithm, "root-key.pem"),
		command("openssl", "req", "-x509", "-new", "-config", "root.cnf", "-key", "root-key.pem", "-sha256", "-days", days(generate.Lifetime+topology.Duration(day-1)), "-out", "root-cert.pem"))
}

// caCerts are the commands that give a control plane its intermediate.
func (h *byHand) caCerts(name string) (note, shell string) {
	id, intermediate := h.t.Spec.Mesh.ID, h.t.Spec.Certificates.Intermediate
	common := name + ".intermediate." + id
	if len(common) > 64 { // X.509 allows no more
		common = name + ".intermediate"
	}
	file := func(base string) string { return name + "/" + base }
	return "An intermediate of its own for each control plane, which signs workloads and no further authority (pathlen:0). istiod reads the secret when it starts: it must be there first.", lines(
		command("mkdir", name),
		here("cat > "+word(file("ca.cnf")), authority(common, id, "critical, CA:TRUE, pathlen:0", "critical, digitalSignature, keyCertSign, cRLSign", "authorityKeyIdentifier = keyid\n")),
		newKey(intermediate.Algorithm, file("ca-key.pem")),
		command("openssl", "req", "-new", "-config", file("ca.cnf"), "-key", file("ca-key.pem"), "-out", file("ca.csr")),
		command("openssl", "x509", "-req", "-in", file("ca.csr"), "-CA", "root-cert.pem", "-CAkey", "root-key.pem", "-CAcreateserial", "-sha256",
			"-days", days(intermediate.Lifetime), "-extfile", file("ca.cnf"), "-extensions", "ext", "-out", file("ca-cert.pem")),
		strings.TrimSuffix(command("cat", file("ca-cert.pem"), "root-cert.pem"), "\n")+" > "+word(file("cert-chain.pem"))+"\n",
		h.kubectl(name, "-n", topology.SystemNamespace, "create", "secret", "generic", topology.CACertsSecret,
			"--from-file="+file("ca-cert.pem"), "--from-file="+file("ca-key.pem"), "--from-file=root-cert.pem", "--from-file="+file("cert-chain.pem")))
}

// authority is openssl's configuration for a certificate authority.
func authority(common, organization, constraints, usage, more string) string {
	return "[req]\nprompt = no\ndistinguished_name = subject\nx509_extensions = ext\n" +
		"[subject]\nO = " + organization + "\nCN = " + common + "\n" +
		"[ext]\nbasicConstraints = " + constraints + "\nkeyUsage = " + usage + "\nsubjectKeyIdentifier = hash\n" + more
}

// newKey makes a private key with one of the topology's algorithms.
func newKey(algorithm, file string) string {
	kind, option := "EC", "ec_paramgen_curve:P-256"
	switch bits, isRSA := strings.CutPrefix(algorithm, "RSA-"); {
	case isRSA:
		kind, option = "RSA", "rsa_keygen_bits:"+bits
	case algorithm == "ECDSA-P384":
		option = "ec_paramgen_curve:P-384"
	}
	return command("openssl", "genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", file)
}

const day = 24 * time.Hour

// days rounds down. A root's are rounded up, so that no intermediate outlives it.
func days(lifetime topology.Duration) string {
	return fmt.Sprint(max(1, int(time.Duration(lifetime)/day)))
}
