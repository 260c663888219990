// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package images

const (
	// Kubernetes is the release of the node image that is pulled when a cluster names none: of
	// those that were published with the kind release that is compiled in, the one whose minor
	// version is that of the client libraries. The youngest one is a minor version ahead of them.
	Kubernetes = "1.36.4"
	// MetalLB is the release of MetalLB's images and, without the v, of its chart.
	MetalLB = "v0.15.2"
	// ChartRepository is where MetalLB publishes its chart
	// (https://metallb.io/installation/#installation-with-helm).
	ChartRepository = "https://metallb.github.io/metallb"
)

// Registries of the published names.
const (
	dockerHub = "docker.io"
	quay      = "quay.io"
)

// nodeDigests are the images that were built for kind v0.33.0, by release of Kubernetes, as
// https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0 lists them; the first is also
// the default of kind's own library. Images of other releases have no known digest: they were
// built for another release of kind and usually work.
func nodeDigests() map[string]string {
	return map[string]string{
		"1.37.0":  "sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5",
		"1.36.4":  "sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
		"1.35.8":  "sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0",
		"1.34.11": "sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d",
	}
}
