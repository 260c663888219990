// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import "github.com/meshfed/meshfed/internal/probe"

// goBuild is one run of the Go compiler: packages that share flags are compiled together, which
// keeps both cores busy and compiles what they share once.
type goBuild struct {
	name     string
	dir      string   // below the workspace, empty for the module of all components
	packages []string // import paths
	rename   map[string]string
	tags     string
	ldflags  string
	patched  bool    // built with the patch of patch.go
	weight   float64 // seconds on two cores with an empty build cache
}

// output is the file name that the compiler gives to a package.
func (g goBuild) output(pkg string) string {
	if name, ok := g.rename[pkg]; ok {
		return name
	}
	return lastElement(pkg)
}

const (
	kubernetesFlags = "-X k8s.io/component-base/version.gitVersion=" + KubernetesVersion +
		" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36" +
		" -X k8s.io/component-base/version.gitTreeState=clean" +
		" -X k8s.io/client-go/pkg/version.gitVersion=" + KubernetesVersion
	istioFlags = "-X istio.io/istio/pkg/version.buildVersion=" + IstioVersion +
		" -X istio.io/istio/pkg/version.buildTag=" + IstioVersion +
		" -X istio.io/istio/pkg/version.buildStatus=Clean"
)

// goBuilds lists every program that is compiled, small ones first: a broken pin shows early.
func goBuilds() []goBuild {
	const (
		plugins    = "github.com/containernetworking/plugins/plugins/"
		containerd = "github.com/containerd/containerd/v2/cmd/"
		kubernetes = "k8s.io/kubernetes/cmd/"
	)
	return []goBuild{
		{name: pauseBuild, weight: 8, packages: []string{"./pause"}},
		{name: probeBuild, weight: 12, dir: probeDir, packages: []string{"./" + probe.MainPackage}},
		{name: "cni", weight: 15, packages: []string{
			plugins + "main/bridge", plugins + "main/loopback", plugins + "main/ptp",
			plugins + "ipam/host-local", plugins + "meta/portmap",
		}},
		{name: "containerd", weight: 75, packages: []string{
			containerd + "containerd", containerd + "ctr", containerd + "containerd-shim-runc-v2",
		}},
		{name: "etcd", weight: 40, packages: []string{"go.etcd.io/etcd/server/v3"},
			rename: map[string]string{"go.etcd.io/etcd/server/v3": "server"}},
		{name: "metallb", weight: 75, patched: true, packages: []string{
			metallbModule + "/controller", metallbModule + "/speaker",
		}},
		{name: "coredns", weight: 120, packages: []string{"github.com/coredns/coredns"}},
		{name: "kubernetes", weight: 430, ldflags: kubernetesFlags, packages: []string{
			kubernetes + "kube-apiserver", kubernetes + "kube-controller-manager", kubernetes + "kube-proxy",
			kubernetes + "kube-scheduler", kubernetes + "kubeadm", kubernetes + "kubectl", kubernetes + "kubelet",
		}},
		{name: "istiod", weight: 270, tags: "vtprotobuf,disable_pgv", ldflags: istioFlags,
			packages: []string{"istio.io/istio/pilot/cmd/pilot-discovery"}},
		{name: "istio-agent", weight: 25, tags: "vtprotobuf,disable_pgv,agent", ldflags: istioFlags,
			packages: []string{"istio.io/istio/pilot/cmd/pilot-agent"}},
	}
}

// program is a compiled file: the build that makes it and its name there.
type program struct{ build, file string }

// component is one image: a layer of own files over, if base, the small Debian root.
type component struct {
	name       string // repository and tag
	source     string // where its content comes from, for the manifest
	base       bool
	files      []componentFile
	user       string
	entrypoint []string
	env        []string
}

// componentFile puts a program, or a file that the build has made or found, into an image.
type componentFile struct {
	path    string
	program program
	extra   string // key of extraFiles
}

// Keys of files that are no compiled program.
const (
	extraEnvoy     = "envoy"
	extraBootstrap = "envoy bootstrap template"
)

// components lists the images that clusters run, under the names that upstream publishes; the
// probe's name comes from its source.
func components(probeImage string) []component {
	kubernetes := func(name string) component {
		return single("registry.k8s.io/"+name+":"+KubernetesVersion, "k8s.io/kubernetes "+KubernetesVersion,
			"/usr/local/bin/"+name, program{"kubernetes", name})
	}
	proxy := kubernetes("kube-proxy")
	proxy.base, proxy.entrypoint = true, nil
	etcd := single("registry.k8s.io/etcd:"+etcdVersion, "go.etcd.io/etcd/server/v3", "/usr/local/bin/etcd", program{"etcd", "server"})
	metallb := func(name string) component {
		return single("quay.io/metallb/"+name+":v"+MetalLBVersion, metallbModule+" v"+MetalLBVersion+", "+patchNote,
			"/"+name, program{"metallb", name})
	}
	pilot := single("docker.io/istio/pilot:"+IstioVersion, istioModule, "/usr/local/bin/pilot-discovery", program{"istiod", "pilot-discovery"})
	pilot.user = "1337:1337"
	return []component{
		kubernetes("kube-apiserver"), kubernetes("kube-controller-manager"), kubernetes("kube-scheduler"), proxy, etcd,
		single("registry.k8s.io/coredns/coredns:"+corednsVersion, "github.com/coredns/coredns "+corednsVersion, "/coredns", program{"coredns", "coredns"}),
		single("registry.k8s.io/pause:"+pauseVersion, "meshfed", "/pause", program{pauseBuild, "pause"}),
		metallb("controller"), metallb("speaker"), pilot,
		single(probeImage, "meshfed", "/meshfed-probe", program{probeBuild, lastElement(probe.MainPackage)}),
		{
			name: "docker.io/istio/proxyv2:" + IstioVersion, base: true,
			source: istioModule + " and " + substituteEnvoy,
			files: []componentFile{
				{path: "/usr/local/bin/pilot-agent", program: program{"istio-agent", "pilot-agent"}},
				{path: "/usr/local/bin/envoy", extra: extraEnvoy},
				{path: "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json", extra: extraBootstrap},
			},
			entrypoint: []string{"/usr/local/bin/pilot-agent"},
			env:        []string{"ISTIO_META_ISTIO_PROXY_SHA=istio-proxy:upstream-envoy-" + EnvoyVersion},
		},
	}
}

// single is an image with one program, which is its entrypoint.
func single(name, source, path string, p program) component {
	return component{name: name, source: source, entrypoint: []string{path}, files: []componentFile{{path: path, program: p}}}
}
