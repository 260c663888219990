// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

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

	file     string                // as problems name it
	said     map[string]place      // where the file says what
	recorded map[string]Allocation // what live clusters have, see ApplyRecorded
}

// Metadata names a topology.
type Metadata struct {
	// Name prefixes everything that is made outside a cluster: kind clusters, containers,
	// the container network, contexts. Required. A DNS label (lower case letters, digits and
	// hyphens); with the longest cluster's name and a hyphen at most 49 characters.
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
	// ContainerNetwork is a network of the container engine that kind clusters join, such as
	// kind; it is never removed. Default: a labelled network of the topology's own, made and
	// removed with it. Refused: an engine's own (bridge, host, none, podman and such).
	ContainerNetwork string `json:"containerNetwork,omitempty"`
	// Namespaces are made in every cluster.
	Namespaces []Namespace `json:"namespaces,omitempty"`
	// Clusters are the members of the mesh: 1 to 200, each with a name of its own. Required.
	Clusters []Cluster `json:"clusters"`
	// Discovery says whose API servers the istiod of each cluster watches, and so whose services
	// its workloads find: {west: [east]}. When it is written, a cluster that it does not list
	// watches nobody. Default: everyone's.
	Discovery map[string][]string `json:"discovery,omitempty"`
	// Services are the user's own services that verify looks at.
	Services []Service `json:"services,omitempty"`
	// Verify tunes the proof.
	Verify Verify `json:"verify"`
}

// Mesh is the identity that all clusters share.
type Mesh struct {
	// ID is Istio's meshID, a label value: at most 63 letters, digits, hyphens, underscores
	// and dots. Default: metadata.name. Immutable on a live mesh.
	ID string `json:"id"`
	// TrustDomain is the SPIFFE trust domain, in lower case letters, digits, hyphens and dots.
	// Default: cluster.local. Immutable on a live mesh.
	TrustDomain string `json:"trustDomain"`
	// MTLS is the mesh-wide mode: Permissive (default; plain text is accepted too) or Strict.
	MTLS string `json:"mtls" enum:"Permissive,Strict"`
}

// Istio is how Istio is installed in every cluster.
type Istio struct {
	// Version is the Istio release in three numbers, such as 1.31.0. One whose charts are not
	// built in needs charts, unless no cluster's istio or gateways are managed. Never is a minor
	// version changed. Default: what runs is kept; in clusters without Istio, the release whose
	// charts are built in.
	Version string `json:"version,omitempty"`
	// Charts replace the built-in charts.
	Charts Charts `json:"charts"`
	// Profile is an Istio installation profile that the charts carry: default (default), demo,
	// preview or stable. Everything else that the file says wins over it.
	Profile string `json:"profile,omitempty"`
	// Revision is the control plane's revision, a DNS label of at most 46 characters; empty for
	// the default one. Immutable on a live mesh.
	Revision string `json:"revision,omitempty"`
	// Tag is a revision tag, a DNS label, that points to the revision: namespaces say
	// istio.io/rev=<tag> and move with it. Only together with a revision, and not its name; at
	// most 43 characters. Default: none.
	Tag string `json:"tag,omitempty"`
	// Values are Helm values of the istiod chart, laid over everything that is derived. Then
	// come meshConfig, the cluster's values and the cluster's meshConfig; later ones win, lists
	// are replaced. Refused: what has a field of its own. No null, only numbers that JSON has.
	Values map[string]any `json:"values,omitempty"`
	// MeshConfig is laid over the derived mesh configuration. No null, as for values.
	MeshConfig map[string]any `json:"meshConfig,omitempty"`
	// DNSProxying lets sidecars answer for services that exist in another cluster only.
	// Default: false.
	DNSProxying bool `json:"dnsProxying,omitempty"`
	// ClusterLocal are services that answer only callers of their own cluster, as
	// <name>.<namespace>.svc.cluster.local or with * in place of the name (or of both, which
	// spares verify's probes). Default: none beyond Istio's own (kube-system, the API server).
	ClusterLocal []string `json:"clusterLocal,omitempty"`
}

// Charts names where Istio's charts come from; at most one field is set. The charts' version
// must be spec.istio.version.
type Charts struct {
	// Directory holds the charts as folders: base, gateway, and istiod (or
	// istio-control/istio-discovery, as in Istio's source). Relative paths count from the file.
	Directory string `json:"directory,omitempty"`
	// Repository is a chart repository, either in a registry (oci://host[:port]/path) or HTTP
	// (https://host[:port]/path or http://), that holds base, istiod and gateway. No login, no
	// query.
	Repository string `json:"repository,omitempty"`
}

// Images says where component images come from.
type Images struct {
	// Mirror stands in place of the registries of the published names, so that
	// docker.io/istio/pilot becomes mirror/istio/pilot: host[:port][/path], without a tag. The
	// host has a dot or a port, or is localhost. A leading http:// means that it is spoken to
	// without TLS, as loopback hosts always are. Default: the published names as they are.
	Mirror string `json:"mirror,omitempty"`
	// PullSecret names a secret, a DNS label, that pods in the clusters pull images with. With
	// or without a mirror: docker.io limits those who do not log in. Default: none.
	PullSecret string `json:"pullSecret,omitempty"`
}

// Certificates is the PKI of the mesh.
type Certificates struct {
	// Root signs the intermediates.
	Root Root `json:"root"`
	// Intermediate is what each control plane signs workloads with.
	Intermediate Intermediate `json:"intermediate"`
}

// Root is the root certificate authority: generated, brought as files, or in a KMS. At most one
// of generate, files and kms is set; default: generate.
type Root struct {
	// Generate makes a root once; it is never made again silently.
	Generate *KeySpec `json:"generate,omitempty"`
	// Files brings a root.
	Files *KeyFiles `json:"files,omitempty"`
	// KMS names a root key that never leaves its device.
	KMS *KMSKey `json:"kms,omitempty"`
	// Keep says where the root's key lives: File (default; 0600 in the state directory) or None.
	Keep string `json:"keep" enum:"File,None"`
}

// Intermediate is a control plane's certificate authority.
type Intermediate struct {
	// Algorithm of the key: ECDSA-P256 (default), ECDSA-P384, RSA-2048, RSA-3072 or RSA-4096.
	// It need not be the root's. Ed25519 is refused: istiod does not know it.
	Algorithm string `json:"algorithm,omitempty" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096"`
	// Lifetime from now, such as 8760h; at least 24h, which workloads' certificates live, and
	// never beyond the root's. Default: 17520h (two years).
	Lifetime Duration `json:"lifetime,omitempty"`
	// Files brings intermediates that another CA signed.
	Files *SignedFiles `json:"files,omitempty"`
}

// KeySpec describes a key to make.
type KeySpec struct {
	// Algorithm of the key: ECDSA-P256 (default), ECDSA-P384, RSA-2048, RSA-3072 or RSA-4096,
	// which takes seconds to make. Ed25519 is refused: istiod does not know it.
	Algorithm string `json:"algorithm" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096"`
	// Lifetime from now, such as 43800h; at least an hour more than the intermediates', which are
	// made later. Default: 87600h (ten years).
	Lifetime Duration `json:"lifetime"`
}

// KeyFiles are PEM files of a certificate and its key.
type KeyFiles struct {
	// Certificate is a PEM file; relative paths count from the topology file.
	Certificate string `json:"certificate"`
	// Key is a PEM file that is not encrypted; relative paths count from the topology file.
	Key string `json:"key"`
}

// KMSKey names a key in a key management system.
type KMSKey struct {
	// URI in smallstep's notation.
	URI string `json:"uri"`
	// Certificate is a PEM file; relative paths count from the topology file.
	Certificate string `json:"certificate"`
}

// SignedFiles is a folder of intermediates signed elsewhere.
type SignedFiles struct {
	// Directory holds one folder for each control plane; relative paths count from the file.
	Directory string `json:"directory"`
}

// Credentials are the tokens inside remote secrets.
type Credentials struct {
	// Lifetime that is asked for, 10m to 87600h; the API server may grant less, and what it
	// granted is recorded. Default: 720h (thirty days).
	Lifetime Duration `json:"lifetime"`
	// Refresh: Manual (default; `up` renews) or InCluster.
	Refresh string `json:"refresh" enum:"Manual,InCluster"`
}

// Namespace is made in every cluster that has workloads. One that exists already gets no label but
// that for injection, and is never removed. One that was made goes when the file drops it, or with
// the mesh, unless something of yours is in it: then it stays, and only the labels go.
type Namespace struct {
	// Name of the namespace, a DNS label. Required. Refused: kube-*, istio-system,
	// metallb-system and the probe's.
	Name string `json:"name"`
	// Inject labels it for sidecar injection, by the tag or revision when there is one. Default:
	// false.
	Inject bool `json:"inject,omitempty"`
}
