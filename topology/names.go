// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

// IstioVersion is the pinned Istio release: of the charts that are built in
// (istio.io/istio in go.mod), of the images that are named, and of what `init` writes.
const IstioVersion = "1.31.0"

// Labels and annotations of our own.
const (
	// LabelTopology carries metadata.name on everything that we make.
	LabelTopology = "meshfed.io/topology"
	// LabelOwner carries the random owner id that is made once for each topology.
	LabelOwner = "meshfed.io/owner"
	// LabelVerify marks a namespace as a verification's when "true": it may be removed with all
	// that is in it.
	LabelVerify = "meshfed.io/verify"
	// LabelServesIstiod marks the east-west gateways that lead to istiod, when "true".
	LabelServesIstiod = "meshfed.io/serves-istiod"
	// AnnotationAllocation records on the owner ConfigMap what `up` allocated.
	AnnotationAllocation = "meshfed.io/allocation"
	// AnnotationExpires records when a credential that we granted ends, RFC 3339 in UTC.
	AnnotationExpires = "meshfed.io/expires"
	// FieldManager is our name in server-side apply.
	FieldManager = "meshfed"
	// OwnerConfigMap is the ConfigMap in OwnerNamespace that records whose cluster this is.
	OwnerConfigMap = "meshfed-owner"
	// OwnerNamespace holds OwnerConfigMap; it exists in every cluster and survives a mesh.
	OwnerNamespace = "kube-system"
)

// Names that come from Istio; the source of each is its multi-cluster installation guide
// and istioctl's create-remote-secret.
const (
	// SystemNamespace is Istio's root namespace.
	SystemNamespace = "istio-system"
	// LabelNetwork says on a namespace, Service or pod which Istio network it is in.
	LabelNetwork = "topology.istio.io/network"
	// LabelMultiCluster marks a Secret as a remote secret when "true".
	LabelMultiCluster = "istio/multiCluster"
	// AnnotationCluster names the cluster that a remote secret is for.
	AnnotationCluster = "networking.istio.io/cluster"
	// LabelInjection turns sidecar injection on for a namespace when "enabled".
	LabelInjection = "istio-injection"
	// CACertsSecret is the plugged-in CA of a control plane.
	CACertsSecret = "cacerts"
	// RootCertConfigMap is what istiod writes into every namespace.
	RootCertConfigMap = "istio-ca-root-cert"
	// EastWestGateway is the release, Deployment, Service and service account of the
	// gateway for other networks.
	EastWestGateway = "istio-eastwestgateway"
	// EastWestSelector is the value of its label "istio".
	EastWestSelector = "eastwestgateway"
	// IngressGateway is the release, Deployment and Service of the gateway for clients.
	IngressGateway = "istio-ingressgateway"
	// IngressSelector is the value of its label "istio".
	IngressSelector = "ingressgateway"
	// CrossNetworkGateway is the Gateway that exposes all services to other networks.
	CrossNetworkGateway = "cross-network-gateway"
	// ReaderServiceAccount is the account whose token a remote secret carries.
	ReaderServiceAccount = "istio-reader-service-account"
	// AnnotationControlPlanes says on a namespace istio-system which istiods, by the name of the
	// cluster that they read, give that cluster its roots and webhook certificates.
	AnnotationControlPlanes = "topology.istio.io/controlPlaneClusters"
	// IstiodAccount is the service account of istiod, by which an external one reads its config
	// cluster.
	IstiodAccount = "istiod"
	// IstiodKubeconfigSecret holds what an external istiod reads its config cluster with.
	IstiodKubeconfigSecret = "istio-kubeconfig" //nolint:gosec // the name of a Secret, not one
	// IstiodGateway is the Gateway and the VirtualService by which remote clusters reach istiod
	// through the east-west gateway.
	IstiodGateway = "istiod"
	// IstiodExternal is the Service by which they reach an external control plane.
	IstiodExternal = "istiod-external"
	// PortXDS is where istiod serves configuration and certificates, by mutual TLS.
	PortXDS = 15012
	// PortWebhook is where istiod serves injection and validation.
	PortWebhook = 15017
	// PortCrossNetwork carries mutual TLS between networks.
	PortCrossNetwork = 15443
	// PortStatus answers health checks of gateways.
	PortStatus = 15021
)

// The node ports of an ingress gateway whose host ports are published; they are the same in
// every cluster, since a cluster has one ingress gateway.
const (
	IngressHTTPNodePort  = 32080
	IngressHTTPSNodePort = 32443
)

// Names that come from Kubernetes.
const (
	// LabelRegion is a node's region.
	LabelRegion = "topology.kubernetes.io/region"
	// LabelZone is a node's zone.
	LabelZone = "topology.kubernetes.io/zone"
)

// MetalLBNamespace holds MetalLB and its address pool.
const MetalLBNamespace = "metallb-system"

// ProberNamespace holds the prober of a cluster, see `render prober`.
const ProberNamespace = "meshfed-prober"

// ProberName is the service account and the Service of a cluster's prober, "prober-west": each has
// its own, so that its certificate says in which cluster it runs.
func ProberName(cluster string) string { return "prober-" + cluster }

// WatchNamespace holds the probes of `verify --watch`, beside those of a verify that runs meanwhile.
func (t *Topology) WatchNamespace() string { return t.Spec.Verify.Probe.Namespace + "-watch" }

// ProbeNamespaces are those in which verify and a watch work, which are removed after use.
func (t *Topology) ProbeNamespaces() []string {
	return []string{t.Spec.Verify.Probe.Namespace, t.WatchNamespace()}
}

// KindName is the kind cluster's name, <topology>-<cluster>.
func (t *Topology) KindName(cluster string) string { return t.Metadata.Name + "-" + cluster }

// Context is the kubeconfig context of a cluster: KindName of one that we made, what the file
// names for one that exists (empty: the current one of its kubeconfig).
func (t *Topology) Context(cluster string) string {
	if c := t.Cluster(cluster); c != nil && c.Provider.Kubeconfig != nil {
		return c.Provider.Kubeconfig.Context
	}
	return t.KindName(cluster)
}

// NetworkName is the container network that the topology's kind clusters join.
func (t *Topology) NetworkName() string {
	if t.Spec.ContainerNetwork != "" {
		return t.Spec.ContainerNetwork
	}
	return ownNetwork(t.Metadata.Name)
}

func ownNetwork(topology string) string { return "meshfed-" + topology }

// OwnsNetwork says whether the container network is the topology's own.
func (t *Topology) OwnsNetwork() bool { return t.Spec.ContainerNetwork == "" }

// RemoteSecretName is the Secret by which a cluster's istiod reaches the named peer.
func RemoteSecretName(peer string) string { return "istio-remote-secret-" + peer }

// Cluster returns the named cluster, or nil.
func (t *Topology) Cluster(name string) *Cluster {
	for i := range t.Spec.Clusters {
		if t.Spec.Clusters[i].Name == name {
			return &t.Spec.Clusters[i]
		}
	}
	return nil
}

// Names lists the clusters in file order.
func (t *Topology) Names() []string {
	names := make([]string, len(t.Spec.Clusters))
	for i := range t.Spec.Clusters {
		names[i] = t.Spec.Clusters[i].Name
	}
	return names
}
