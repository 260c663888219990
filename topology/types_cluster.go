// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

// Cluster is one member of the mesh.
type Cluster struct {
	// Name is Istio's clusterName, a DNS label, unique in the file. Required. The kind cluster
	// and the context are called <topology>-<name>, which has at most 49 characters.
	Name string `json:"name"`
	// Provider says where the cluster comes from. Default: kind.
	Provider Provider `json:"provider"`
	// Network is Istio's network, a label value. Clusters of one network reach each other's pods
	// without a gateway: kind clusters get routes for that, others must have them already.
	// Default: <name>-network, one for each cluster. Immutable on a live mesh.
	Network string `json:"network"`
	// Locality of the cluster's nodes that say none of their own.
	Locality Locality `json:"locality"`
	// Primary is the cluster whose istiod serves this one. Default: itself.
	Primary string `json:"primary"`
	// Config is the cluster whose API that istiod reads. Default: its primary.
	Config string `json:"config"`
	// LoadBalancer gives addresses to Services of type LoadBalancer.
	LoadBalancer LoadBalancer `json:"loadBalancer"`
	// Ingress is the gateway for outside clients; {} maps a free port of the host. Default:
	// none.
	Ingress *Ingress `json:"ingress,omitempty"`
	// EastWest is the gateway for the other networks.
	EastWest EastWest `json:"eastWest"`
	// APIServer says how peers reach the cluster's API.
	APIServer APIServer `json:"apiServer"`
	// Manage says what is written and what is only checked.
	Manage Manage `json:"manage"`
	// Istio is laid over spec.istio for this cluster.
	Istio ClusterIstio `json:"istio"`
	// Addons are observability add-ons.
	Addons []string `json:"addons,omitempty"`
}

// ClusterIstio is what one cluster may change of spec.istio.
type ClusterIstio struct {
	// Values are Helm values of the istiod chart, laid over spec.istio.values.
	Values map[string]any `json:"values,omitempty"`
	// MeshConfig is laid over spec.istio.meshConfig, and over all values.
	MeshConfig map[string]any `json:"meshConfig,omitempty"`
}

// Provider says where a cluster comes from; at most one field is set, none means kind.
type Provider struct {
	// Kind is a cluster that is made and removed.
	Kind *KindProvider `json:"kind,omitempty"`
	// Kubeconfig is a cluster that exists and is never made or removed.
	Kubeconfig *KubeconfigProvider `json:"kubeconfig,omitempty"`
	// ClusterAPI is a cluster made by Cluster API.
	ClusterAPI *ClusterAPIProvider `json:"clusterAPI,omitempty"`
}

// KindProvider is a kind cluster.
type KindProvider struct {
	// Kubernetes is a version in three numbers, such as 1.36.3, of a minor version that the
	// built-in Istio supports; or the name of a node image with a slash and a tag or digest,
	// such as docker.io/kindest/node:v1.36.3. Default: the bundle's version or, without a
	// bundle, the one that is published for this version of meshfed.
	Kubernetes string `json:"kubernetes,omitempty"`
	// PodSubnet is a private IPv4 CIDR of /8 to /24, a /24 of it for each node; pods of one
	// network never overlap. Default: the first /16 from 10.10.0.0/16 on that the file leaves
	// free. Immutable on a live cluster.
	PodSubnet string `json:"podSubnet"`
	// ServiceSubnet is a private IPv4 CIDR of /12 to /26 outside the pods'. Default: the first
	// /24 from 10.64.0.0/24 on that the file leaves free. Immutable on a live cluster.
	ServiceSubnet string `json:"serviceSubnet"`
	// Nodes: exactly one with role control-plane, and at most 20 workers. Default: one
	// control-plane node that also runs workloads.
	Nodes []Node `json:"nodes,omitempty"`
	// Ports are node ports published on the host's loopback interface, beside the ingress's.
	Ports []Port `json:"ports,omitempty"`
	// Patches of the nodes' configuration, each a text: one YAML document with a kind of
	// kubeadm's (ClusterConfiguration, InitConfiguration, JoinConfiguration,
	// KubeletConfiguration or KubeProxyConfiguration), or TOML of containerd's configuration.
	Patches []string `json:"patches,omitempty"`
}

// Node is one node of a kind cluster.
type Node struct {
	// Role: control-plane (default) or worker.
	Role string `json:"role" enum:"control-plane,worker"`
	// Locality. Default: the cluster's, when it says neither region nor zone.
	Locality Locality `json:"locality"`
	// Labels set on the node. Refused: region and zone, which are said in the locality, and
	// labels of kubernetes.io and k8s.io that no node may set on itself.
	Labels map[string]string `json:"labels,omitempty"`
}

// Port publishes a node port on the host's loopback interface.
type Port struct {
	// Host port, 1 to 65535, each used once in the file. Required.
	Host int `json:"host"`
	// Node port, 30000 to 32767, each used once in the cluster. Required.
	Node int `json:"node"`
}

// KubeconfigProvider is a cluster that exists.
type KubeconfigProvider struct {
	// Path of the kubeconfig; relative paths count from the topology file, a leading ~/ means
	// the home folder. Default: kubectl's own rules (KUBECONFIG, ~/.kube/config).
	Path string `json:"path,omitempty"`
	// Context in it. Default: the current one.
	Context string `json:"context,omitempty"`
	// Adopt takes over an Istio that is there already; without it one is refused, with what was
	// found. Default: false.
	Adopt bool `json:"adopt,omitempty"`
	// LabelNodes writes the cluster's locality onto nodes that say none of their own; `down`
	// takes it away again. Default: false, a locality is only expected.
	LabelNodes bool `json:"labelNodes,omitempty"`
}

// ClusterAPIProvider is a cluster made by Cluster API.
type ClusterAPIProvider struct {
	// Name of the Cluster object.
	Name string `json:"name"`
	// Namespace of the Cluster object.
	Namespace string `json:"namespace,omitempty"`
}

// Locality is where nodes run, as in the labels topology.kubernetes.io/region and zone.
type Locality struct {
	// Region, for example us-west: a label value.
	Region string `json:"region,omitempty"`
	// Zone, for example us-west-1: a label value. Only together with a region.
	Zone string `json:"zone,omitempty"`
}

// LoadBalancer gives addresses to Services of type LoadBalancer.
type LoadBalancer struct {
	// Type: MetalLB (default on kind), Existing or None. A MetalLB that `up` has installed goes when
	// the file says another type, with the addresses that it has given.
	Type string `json:"type" enum:"MetalLB,Existing,None"`
	// Addresses are at most one IPv4 range, first-last or a CIDR, in the upper half of the
	// container network (of one that is shared: anywhere but its gateway's). Default: 4 to 16
	// addresses that follow from the cluster's name.
	Addresses []string `json:"addresses,omitempty"`
}

// Ingress is the gateway for outside clients.
type Ingress struct {
	// HostPorts are published on the host's loopback interface (kind only).
	HostPorts HostPorts `json:"hostPorts"`
}

// HostPorts are ports of the host, 1 to 65535, each used once in the file; 0 means not
// published. When both are 0 a free port is mapped to HTTP: the first from 30000 on that the
// file does not use, or the next one that is free on the host when the cluster is made.
type HostPorts struct {
	// HTTP is forwarded to the gateway's port 80. Default: 0, or a free port when https is 0.
	HTTP int `json:"http,omitempty"`
	// HTTPS is forwarded to the gateway's port 443. Default: 0.
	HTTPS int `json:"https,omitempty"`
	// Any says that HTTP was allocated and not asked for: where looking for a free port begins.
	Any bool `json:"-"`
}

// EastWest is the gateway for the other networks.
type EastWest struct {
	// Replicas of the gateway, 1 to 100. Default: 1.
	Replicas int `json:"replicas"`
	// Service in front of it.
	Service EastWestService `json:"service"`
	// Addresses that peers should use instead of the Service's (NAT).
	Addresses []string `json:"addresses,omitempty"`
	// Hosts are the services that other networks reach through the gateway, with or without * in
	// place of the first part; verify's probes are let in too. Default: all, "*.local".
	Hosts []string `json:"hosts,omitempty"`
	// Values are Helm values of the gateway chart, laid over everything that is derived.
	Values map[string]any `json:"values,omitempty"`
}

// EastWestService is the Service in front of an east-west gateway.
type EastWestService struct {
	// Type: LoadBalancer (default) or NodePort.
	Type string `json:"type" enum:"LoadBalancer,NodePort"`
	// Annotations of the Service.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// APIServer says how peers reach a cluster's API.
type APIServer struct {
	// PeerAddress is https://host[:port] or host:port. Default: found. Refused: loopback, which
	// peers can not reach.
	PeerAddress string `json:"peerAddress,omitempty"`
}

// Manage says what is written (true, the default) and what is only checked (false). A cluster of
// your own in which nothing is managed is not written at all, not even whose it is.
type Manage struct {
	// Istio: base and istiod. Default: true.
	Istio bool `json:"istio"`
	// Gateways: ingress and east-west. Default: true.
	Gateways bool `json:"gateways"`
	// CACerts: the secret cacerts. Default: true.
	CACerts bool `json:"cacerts"`
	// RemoteSecrets of the peers. Default: true.
	RemoteSecrets bool `json:"remoteSecrets"`
}
