// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// maxRevision lets "istiod-<revision>" be the name of a Helm release, which has at most 53
	// characters (https://helm.sh/docs/chart_template_guide/builtin_objects/).
	maxRevision = 53 - len("istiod-")
	// maxTag lets "istiod-revision-tag-<tag>", which the istiod chart makes, be the name of a
	// Service.
	maxTag = 63 - len("istiod-revision-tag-")
	// istioRepository is where Istio publishes its charts
	// (https://istio.io/latest/docs/setup/install/helm/).
	istioRepository = "https://istio-release.storage.googleapis.com/charts"
)

// Profiles lists the installation profiles that may be named. Istio's charts carry more: ambient
// needs ztunnel, remote is not a choice but follows from primary, and platforms are values.
func Profiles() []string { return []string{"default", "demo", "preview", "stable"} }

// istio checks spec.istio and what clusters change of it.
func (c *collector) istio(t *Topology) {
	i := &t.Spec.Istio
	c.istioVersion(t)
	switch {
	case i.Profile == "" || slices.Contains(Profiles(), i.Profile):
	case i.Profile == "ambient":
		c.add("spec.istio.profile", "ambient meshes, which need ztunnel, are not built", "write "+orList(Profiles())+": a mesh of sidecars")
	case i.Profile == "remote":
		c.add("spec.istio.profile", "remote is no choice: it follows from a cluster's primary", "write "+orList(Profiles())+", and primary: <another cluster> for a remote cluster")
	default:
		c.add("spec.istio.profile", fmt.Sprintf("there is no profile %q", shorten(i.Profile)), suggestValue(i.Profile, Profiles()))
	}
	c.revision(t)
	for n, host := range i.ClusterLocal {
		c.clusterLocal(fmt.Sprintf("spec.istio.clusterLocal[%d]", n), host, t.ProbeNamespaces())
	}
	c.reserved("spec.istio.values", i.Values, reservedValues())
	c.reserved("spec.istio.meshConfig", i.MeshConfig, reservedMeshConfig(i))
	for n := range t.Spec.Clusters {
		at, cluster := fmt.Sprintf("spec.clusters[%d]", n), &t.Spec.Clusters[n]
		c.reserved(at+".istio.values", cluster.Istio.Values, reservedValues())
		c.reserved(at+".istio.meshConfig", cluster.Istio.MeshConfig, reservedMeshConfig(i))
		for k, host := range cluster.EastWest.Hosts {
			c.gatewayHost(fmt.Sprintf("%s.eastWest.hosts[%d]", at, k), host)
		}
	}
	c.namespaces(t)
}

// installs says whether any of Istio's charts is installed somewhere.
func (t *Topology) installs() bool {
	return len(t.Spec.Clusters) == 0 || slices.ContainsFunc(t.Spec.Clusters, func(c Cluster) bool { return c.Manage.Istio || c.Manage.Gateways })
}

func (c *collector) istioVersion(t *Topology) {
	const path = "spec.istio.version"
	i := &t.Spec.Istio
	switch {
	case i.Version == "":
	case !regexp.MustCompile(`^(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}(-(alpha|beta|rc)\.[0-9]{1,3})?$`).MatchString(i.Version):
		c.add(path, fmt.Sprintf("%q is no version of Istio", shorten(i.Version)), "write three numbers, such as "+IstioVersion)
	case !slices.Contains(IstioMinors(), Minor(i.Version)):
		c.add(path, fmt.Sprintf("Istio %s is not one of those that are known here", Minor(i.Version)), "write a version of "+orList(IstioMinors()))
	case i.Version != IstioVersion && i.Charts.Directory == "" && i.Charts.Repository == "" && t.installs():
		c.add(path, fmt.Sprintf("the charts that are built in are those of Istio %s, not %s", IstioVersion, i.Version),
			fmt.Sprintf("write %s, or name charts beside it, such as charts: {repository: %s}", IstioVersion, istioRepository))
	}
}

func (c *collector) revision(t *Topology) {
	i := &t.Spec.Istio
	const path, tag = "spec.istio.revision", "spec.istio.tag"
	if i.Revision == "default" {
		c.add(path, "default is what istiod calls itself without a revision", `write "" or another name, such as v`+strings.ReplaceAll(IstioVersion, ".", "-"))
	} else if i.Revision != "" && c.label(path, i.Revision, "") && len(i.Revision) > maxRevision {
		c.add(path, fmt.Sprintf("%q has %d characters, more than %d", shorten(i.Revision), len(i.Revision), maxRevision), "write a shorter name: istiod's Helm release is called istiod-<revision>")
	}
	for n := range t.Spec.Clusters {
		if i.Revision != "" && (!t.Spec.Clusters[n].IsPrimary() || t.Spec.Clusters[n].IsExternal()) {
			c.add(path, fmt.Sprintf("revisions in meshes with remote clusters (%s) or external control planes are planned, but not built yet", t.Spec.Clusters[n].Name), `write "" or remove it`)
			break
		}
	}
	switch {
	case i.Tag == "":
	case i.Revision == "":
		c.add(tag, "a tag points to a revision, and there is none", "write a revision, such as revision: v"+strings.ReplaceAll(IstioVersion, ".", "-")+", or remove the tag")
	case i.Tag == i.Revision:
		c.add(tag, fmt.Sprintf("the revision is called %q already", shorten(i.Tag)), "write another name, such as stable")
	case c.label(tag, i.Tag, "") && len(i.Tag) > maxTag:
		c.add(tag, fmt.Sprintf("%q has %d characters, more than %d", shorten(i.Tag), len(i.Tag), maxTag), "write a shorter name: the tag's Service is called istiod-revision-tag-<tag>")
	}
}

// clusterLocal takes what Istio takes in meshConfig.serviceSettings and finds again: names of
// Services, and * in place of their first part (pilot/pkg/model/cluster_local.go in istio.io/istio).
func (c *collector) clusterLocal(path, host string, probes []string) {
	const fix = "write <name>.<namespace>.svc.cluster.local, *.<namespace>.svc.cluster.local or *.svc.cluster.local"
	name, found := strings.CutSuffix(host, serviceDomain)
	parts := strings.Split(name, ".")
	ok := found && (name == "*" || len(parts) == 2 && (parts[0] == "*" || isLabel(parts[0])) && isLabel(parts[1]))
	switch {
	case !ok:
		c.add(path, fmt.Sprintf("%q is no name of a service", shorten(host)), fix)
	case len(parts) == 2 && slices.Contains(probes, parts[1]):
		c.add(path, fmt.Sprintf("%q is a namespace of probes, which have to reach each other", parts[1]), "remove it, or write another spec.verify.probe.namespace")
	}
}

// gatewayHost takes what Istio takes as a host of a Gateway that passes TLS through by its server
// name: a name, or * in place of its first part (Server.hosts in
// https://istio.io/latest/docs/reference/config/networking/gateway/).
func (c *collector) gatewayHost(path, host string) {
	rest := strings.TrimPrefix(host, "*.")
	if host != "*" && (!isDomain(rest) || !strings.Contains(rest, ".") && rest == host) {
		c.add(path, fmt.Sprintf("%q is no host of a gateway", shorten(host)),
			"write <name>.<namespace>.svc.cluster.local, *.<namespace>.svc.cluster.local or *.local")
	}
}

// reservation is a value that has a field of its own.
type reservation struct{ value, field string }

// reservedValues are Helm values of the istiod chart that other parts of the mesh rely on.
func reservedValues() []reservation {
	return []reservation{
		{"revision", "spec.istio.revision"},
		{"revisionTags", "spec.istio.tag"},
		{"profile", "spec.istio.profile"},
		{"global.meshID", "spec.mesh.id"},
		{"global.network", "the cluster's network"},
		{"global.multiCluster.clusterName", "the cluster's name"},
		{"meshConfig.trustDomain", "spec.mesh.trustDomain"},
	}
}

func reservedMeshConfig(i *Istio) []reservation {
	reserved := []reservation{{"trustDomain", "spec.mesh.trustDomain"}}
	if len(i.ClusterLocal) > 0 { // a list here would replace it
		reserved = append(reserved, reservation{"serviceSettings", "spec.istio.clusterLocal"})
	}
	return reserved
}

// reserved refuses values that a field says: two places would contradict each other.
func (c *collector) reserved(path string, values map[string]any, reserved []reservation) {
	for _, r := range reserved {
		tree := values
		keys := strings.Split(r.value, ".")
		for _, key := range keys[:len(keys)-1] {
			tree, _ = tree[key].(map[string]any)
		}
		if _, said := tree[keys[len(keys)-1]]; said {
			c.add(path+"."+r.value, "it is said in "+r.field, "remove it here and write it there")
		}
	}
}

// namespaces checks the namespaces that are made in every cluster.
func (c *collector) namespaces(t *Topology) {
	first := map[string]int{}
	for i, n := range t.Spec.Namespaces {
		path := fmt.Sprintf("spec.namespaces[%d].name", i)
		if !c.label(path, n.Name, "write the namespace's name, such as shop") {
			continue
		}
		if before, ok := first[n.Name]; ok {
			c.add(path, fmt.Sprintf("spec.namespaces[%d] is called %q too", before, n.Name), "keep one of the two")
			continue
		}
		first[n.Name] = i
		switch {
		case n.Name == SystemNamespace || n.Name == MetalLBNamespace || strings.HasPrefix(n.Name, "kube-"):
			c.add(path, fmt.Sprintf("%q is not for workloads of the mesh", n.Name), "remove it, or write another name")
		case slices.Contains(t.ProbeNamespaces(), n.Name):
			c.add(path, fmt.Sprintf("%q is a namespace of probes, which is removed after use", n.Name), "write another name, or another spec.verify.probe.namespace")
		}
	}
}

// chartFolders checks what charts of a folder say of themselves: the release, and the profile.
func (c *collector) chartFolders(folder string, i *Istio, found map[string]string) {
	const path = "spec.istio.charts.directory"
	want := i.release()
	for _, name := range slices.Sorted(maps.Keys(found)) {
		var chart struct {
			Version string `yaml:"version"`
		}
		data, err := readFile(filepath.Join(folder, found[name], "Chart.yaml"))
		if err == nil {
			err = yaml.Unmarshal(data, &chart)
		}
		if err != nil {
			c.add(path, show(i.Charts.Directory)+" has a chart "+name+" whose Chart.yaml can not be read", "name the folder of Istio's charts as they are published")
			return
		}
		has := strings.TrimPrefix(chart.Version, "v")
		if has == want {
			continue
		}
		message := fmt.Sprintf("%s holds chart %s of Istio %s, and the version to install is %s", show(i.Charts.Directory), name, shorten(has), want)
		if i.Version == "" {
			c.add(path, message, "write version: "+shorten(has)+" beside it")
		} else {
			c.add(path, message, "write version: "+shorten(has)+", or name charts of "+want)
		}
		return
	}
	if i.Profile == "" || i.Profile == "default" || !slices.Contains(Profiles(), i.Profile) {
		return
	}
	if _, err := os.Stat(filepath.Join(folder, found["istiod"], "files", "profile-"+i.Profile+".yaml")); err != nil {
		c.add("spec.istio.profile", fmt.Sprintf("the charts of %s have no profile %s", show(i.Charts.Directory), i.Profile), "write default, or name other charts")
	}
}
