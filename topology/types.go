// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"time"
)

// APIVersion and Kind are what the first two fields of a topology file must say.
const (
	APIVersion = "meshfed.io/v1alpha1"
	Kind       = "Topology"
)

// Topology is a whole file after strict loading: defaults are filled in, subnets are
// allocated and every rule holds.
type Topology struct {
	// APIVersion is always meshfed.io/v1alpha1.
	APIVersion string `json:"apiVersion" enum:"meshfed.io/v1alpha1"`
	// Kind is always Topology.
	Kind string `json:"kind" enum:"Topology"`
	// Metadata names the topology.
	Metadata Metadata `json:"metadata"`
	// Spec is what shall exist.
	Spec Spec `json:"spec"`

	// Warnings are the problems that do not prevent use, in file order.
	Warnings Problems `json:"-"`
	// Dir is the folder that relative paths of the file resolve against.
	Dir string `json:"-"`
}

// Metadata names a topology.
type Metadata struct {
	// Name prefixes everything that is made outside a cluster: kind clusters, containers,
	// the container network, contexts. A DNS label; with the longest cluster's name and a
	// hyphen at most MaxNameLength characters.
	Name string `json:"name"`
}

// Spec is what shall exist.
type Spec struct {
	// Mesh is the identity that all clusters share.
	Mesh Mesh `json:"mesh"`
	// Istio is how Istio is installed in every cluster.
	Istio Istio `json:"istio"`
	// Images says where Istio's, MetalLB's and the probe's images come from.
	Images Images `json:"images"`
	// Certificates is the PKI: one root, one intermediate for each control plane.
	Certificates Certificates `json:"certificates"`
	// Credentials are the tokens inside remote secrets.
	Credentials Credentials `json:"credentials"`
	// ContainerNetwork is the container network that kind clusters join; empty means a
	// labelled network of the topology's own.
	ContainerNetwork string `json:"containerNetwork,omitempty"`
	// Namespaces are made in every cluster.
	Namespaces []Namespace `json:"namespaces,omitempty"`
	// Clusters are the members of the mesh, at least one.
	Clusters []Cluster `json:"clusters"`
	// Discovery says whose API servers each cluster's istiod watches; empty means everyone's.
	Discovery map[string][]string `json:"discovery,omitempty"`
	// Services are the user's own services that verify looks at.
	Services []Service `json:"services,omitempty"`
	// Verify tunes the proof.
	Verify Verify `json:"verify"`
}

// Mesh is the identity that all clusters share.
type Mesh struct {
	// ID is Istio's meshID; default: metadata.name. Immutable on a live mesh.
	ID string `json:"id"`
	// TrustDomain is the SPIFFE trust domain; default: cluster.local. Immutable on a live mesh.
	TrustDomain string `json:"trustDomain"`
	// MTLS is the mesh-wide mode: Permissive (default) or Strict.
	MTLS string `json:"mtls" enum:"Permissive,Strict"`
}

// Istio is how Istio is installed; the same type serves all clusters and one cluster.
type Istio struct {
	// Version is the Istio release, by default the one whose charts are built in.
	Version string `json:"version,omitempty"`
	// Charts replace the built-in charts.
	Charts Charts `json:"charts"`
	// Profile is an Istio installation profile; default: default.
	Profile string `json:"profile,omitempty"`
	// Revision is the control plane's revision; empty for the default one.
	Revision string `json:"revision,omitempty"`
	// Values are Helm values of the istiod chart, laid over everything that is derived.
	Values map[string]any `json:"values,omitempty"`
	// MeshConfig is laid over the derived mesh configuration.
	MeshConfig map[string]any `json:"meshConfig,omitempty"`
	// DNSProxying lets sidecars answer for services that exist in another cluster only.
	DNSProxying bool `json:"dnsProxying,omitempty"`
}

// Charts names where Istio's charts come from; at most one field is set.
type Charts struct {
	// Directory holds base, istiod and gateway charts.
	Directory string `json:"directory,omitempty"`
	// Repository is an OCI or HTTP chart repository.
	Repository string `json:"repository,omitempty"`
}

// Images says where component images come from.
type Images struct {
	// Mirror replaces the registries of the published names.
	Mirror string `json:"mirror,omitempty"`
	// PullSecret names a secret that nodes use to pull.
	PullSecret string `json:"pullSecret,omitempty"`
}

// Certificates is the PKI of the mesh.
type Certificates struct {
	// Root signs the intermediates.
	Root Root `json:"root"`
	// Intermediate is what each control plane signs workloads with.
	Intermediate Intermediate `json:"intermediate"`
}

// Root is the root certificate authority: generated, brought as files, or in a KMS.
type Root struct {
	// Generate makes a root once; it is never made again silently.
	Generate *KeySpec `json:"generate,omitempty"`
	// Files brings a root.
	Files *KeyFiles `json:"files,omitempty"`
	// KMS names a root key that never leaves its device.
	KMS *KMSKey `json:"kms,omitempty"`
	// Keep says where the root's key lives: File (default) or None.
	Keep string `json:"keep" enum:"File,None"`
}

// Intermediate is a control plane's certificate authority.
type Intermediate struct {
	// Algorithm of the key, as for the root; default: ECDSA-P256.
	Algorithm string `json:"algorithm,omitempty" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096"`
	// Lifetime from now; default 17520h (two years). Never beyond the root's.
	Lifetime Duration `json:"lifetime,omitempty"`
	// Files brings intermediates that another CA signed.
	Files *SignedFiles `json:"files,omitempty"`
}

// KeySpec describes a key to make.
type KeySpec struct {
	// Algorithm: ECDSA-P256 (default), ECDSA-P384, RSA-2048, RSA-3072 or RSA-4096.
	Algorithm string `json:"algorithm" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096"`
	// Lifetime from now; default 87600h (ten years).
	Lifetime Duration `json:"lifetime"`
}

// KeyFiles are PEM files of a certificate and its key.
type KeyFiles struct {
	// Certificate is a PEM file.
	Certificate string `json:"certificate"`
	// Key is a PEM file.
	Key string `json:"key"`
}

// KMSKey names a key in a key management system.
type KMSKey struct {
	// URI in smallstep's notation.
	URI string `json:"uri"`
	// Certificate is a PEM file.
	Certificate string `json:"certificate"`
}

// SignedFiles is a folder of intermediates signed elsewhere.
type SignedFiles struct {
	// Directory holds one folder for each control plane.
	Directory string `json:"directory"`
}

// Credentials are the tokens inside remote secrets.
type Credentials struct {
	// Lifetime that is asked for; the API server may grant less, and what it granted is
	// recorded. Default 720h.
	Lifetime Duration `json:"lifetime"`
	// Refresh: Manual (default; `up` renews) or InCluster.
	Refresh string `json:"refresh" enum:"Manual,InCluster"`
}

// Namespace is made in every cluster.
type Namespace struct {
	// Name of the namespace.
	Name string `json:"name"`
	// Inject labels it for sidecar injection.
	Inject bool `json:"inject,omitempty"`
}

// Cluster is one member of the mesh.
type Cluster struct {
	// Name is Istio's clusterName, a DNS label, unique in the file.
	Name string `json:"name"`
	// Provider says where the cluster comes from; empty means kind.
	Provider Provider `json:"provider"`
	// Network is Istio's network; default: <name>-network, one for each cluster.
	Network string `json:"network"`
	// Locality of the cluster's nodes.
	Locality Locality `json:"locality"`
	// Primary is the cluster whose istiod serves this one; default itself.
	Primary string `json:"primary"`
	// Config is the cluster whose API that istiod reads; default its primary.
	Config string `json:"config"`
	// LoadBalancer gives addresses to Services of type LoadBalancer.
	LoadBalancer LoadBalancer `json:"loadBalancer"`
	// Ingress is the gateway for outside clients; nil for none.
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
	// Values are Helm values of the istiod chart.
	Values map[string]any `json:"values,omitempty"`
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
	// Kubernetes is a version such as 1.36.3; empty means the bundle's.
	Kubernetes string `json:"kubernetes,omitempty"`
	// PodSubnet is an IPv4 CIDR; allocated when empty.
	PodSubnet string `json:"podSubnet"`
	// ServiceSubnet is an IPv4 CIDR; allocated when empty.
	ServiceSubnet string `json:"serviceSubnet"`
	// Nodes; default: one control-plane node that also runs workloads.
	Nodes []Node `json:"nodes,omitempty"`
	// Ports published on the host's loopback interface.
	Ports []Port `json:"ports,omitempty"`
	// Patches are kubeadm config patches.
	Patches []string `json:"patches,omitempty"`
}

// Node is one node of a kind cluster.
type Node struct {
	// Role: control-plane or worker.
	Role string `json:"role" enum:"control-plane,worker"`
	// Locality; default: the cluster's.
	Locality Locality `json:"locality"`
	// Labels set on the node.
	Labels map[string]string `json:"labels,omitempty"`
}

// Port publishes a node port on the host's loopback interface.
type Port struct {
	// Host port, 1 to 65535.
	Host int `json:"host"`
	// Node port, 30000 to 32767.
	Node int `json:"node"`
}

// KubeconfigProvider is a cluster that exists.
type KubeconfigProvider struct {
	// Path of the kubeconfig.
	Path string `json:"path"`
	// Context in it.
	Context string `json:"context"`
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
	// Region, for example us-west.
	Region string `json:"region,omitempty"`
	// Zone, for example us-west-1.
	Zone string `json:"zone,omitempty"`
}

// LoadBalancer gives addresses to Services of type LoadBalancer.
type LoadBalancer struct {
	// Type: MetalLB (default on kind), Existing or None.
	Type string `json:"type" enum:"MetalLB,Existing,None"`
	// Addresses are IPv4 ranges first-last or CIDRs; carved from the container network when empty.
	Addresses []string `json:"addresses,omitempty"`
}

// Ingress is the gateway for outside clients.
type Ingress struct {
	// HostPorts are published on the host's loopback interface (kind only).
	HostPorts HostPorts `json:"hostPorts"`
}

// HostPorts are ports of the host; 0 means not published. When both are 0 the first port from
// 30000 on that the file does not use is allocated for HTTP.
type HostPorts struct {
	// HTTP is forwarded to the gateway's port 80.
	HTTP int `json:"http,omitempty"`
	// HTTPS is forwarded to the gateway's port 443.
	HTTPS int `json:"https,omitempty"`
}

// EastWest is the gateway for the other networks.
type EastWest struct {
	// Replicas of the gateway; default 1.
	Replicas int `json:"replicas"`
	// Service in front of it.
	Service EastWestService `json:"service"`
	// Addresses that peers should use instead of the Service's (NAT).
	Addresses []string `json:"addresses,omitempty"`
	// Values are Helm values of the gateway chart.
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
	// PeerAddress is an https URL or host:port; found when empty, loopback is refused.
	PeerAddress string `json:"peerAddress,omitempty"`
}

// Manage says what is written (true, the default) and what is only checked (false).
type Manage struct {
	// Istio: base and istiod.
	Istio bool `json:"istio"`
	// Gateways: ingress and east-west.
	Gateways bool `json:"gateways"`
	// CACerts: the secret cacerts.
	CACerts bool `json:"cacerts"`
	// RemoteSecrets of the peers.
	RemoteSecrets bool `json:"remoteSecrets"`
}

// Service is one of the user's own services.
type Service struct {
	// Host is name.namespace.
	Host string `json:"host"`
	// Clusters that serve it.
	Clusters []string `json:"clusters,omitempty"`
	// Failover says that other clusters shall answer when the local one can not.
	Failover bool `json:"failover,omitempty"`
	// Callers are namespace/serviceaccount.
	Callers []string `json:"callers,omitempty"`
	// Probe asks for bounded requests; nil means look only.
	Probe *ServiceProbe `json:"probe,omitempty"`
}

// ServiceProbe is a bounded request load.
type ServiceProbe struct {
	// Path of the request.
	Path string `json:"path"`
	// Requests to send.
	Requests int `json:"requests"`
}

// Verify tunes the proof.
type Verify struct {
	// Suites to run; empty means all that apply.
	Suites []string `json:"suites,omitempty"`
	// Failover thresholds.
	Failover Failover `json:"failover"`
	// Probe is what verify sends into the mesh.
	Probe Probe `json:"probe"`
}

// Failover holds the thresholds of the failover suite.
type Failover struct {
	// Rate of requests per second and caller; default 20.
	Rate int `json:"rate"`
	// Within is the time to steady answers from elsewhere; default 10s.
	Within Duration `json:"within"`
	// LostAtMost is a count of failed requests; default 40.
	LostAtMost int `json:"lostAtMost"`
	// BackWithin is the time to steady local answers after repair; default 60s.
	BackWithin Duration `json:"backWithin"`
}

// Probe is what verify sends into the mesh.
type Probe struct {
	// Namespace of its own; default meshfed-verify.
	Namespace string `json:"namespace"`
	// Image; empty means the bundle's.
	Image string `json:"image,omitempty"`
	// Tolerations of its pods, as in a pod spec.
	Tolerations []map[string]any `json:"tolerations,omitempty"`
	// Resources of its containers, as in a pod spec.
	Resources map[string]any `json:"resources,omitempty"`
}

// Duration is a time.Duration written as Go writes it, for example 720h or 10s.
type Duration time.Duration

// String writes d as Go reads it, without zero minutes and seconds: 720h, not 720h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration as Go does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
