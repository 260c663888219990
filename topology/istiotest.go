// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// FromIstioTest reads a topology file of Istio's integration test framework and returns the
// topology that it describes, named topologyName, to be written with File. The format is that of
// pkg/test/framework/components/cluster (Config) in istio.io/istio, with the subnets that
// prow/config/topology adds for kind. The name stands for the input in problems.
//
// Notes are problems that do not prevent use: one for each thing that has no counterpart or means
// something else here. The error is Problems when the input is not such a file; the topology
// itself is not checked, which loading does.
func FromIstioTest(name string, data []byte, topologyName string) (t *Topology, notes Problems, err error) {
	c := newCollector(name)
	entries, ok := istioTestEntries(c, data)
	if !ok {
		return nil, nil, c.told()
	}
	i := istioTest{collector: c, t: New(topologyName)}
	i.t.Spec.Istio.Version = IstioVersion
	for n, entry := range entries {
		i.entry(n, entry)
	}
	i.networks()
	for n := range i.t.Spec.Clusters {
		i.refer(&i.t.Spec.Clusters[n])
	}
	if len(c.problems) == 0 && len(i.t.Spec.Clusters) == 0 {
		c.at(place{line: 1, column: 1}, "", "there are no Kubernetes clusters", "name a topology file of Istio's tests, such as prow/config/topology/multicluster.json")
	}
	if len(c.problems) > 0 {
		return nil, nil, c.told()
	}
	return i.t, c.warnings.sorted(), nil
}

// istioTestEntries reads the list; JSON is YAML, which the framework reads too.
func istioTestEntries(c *collector, data []byte) ([]*yaml.Node, bool) {
	const fix = "name a topology file of Istio's tests, such as prow/config/topology/multicluster.json"
	// Tabs indent JSON, and YAML does not mind them inside brackets.
	if !checkText(c, bytes.ReplaceAll(data, []byte("\t"), []byte(" "))) {
		return nil, false
	}
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			c.at(place{line: 1, column: 1}, "", "the file is empty", fix)
		} else {
			c.syntax(err)
		}
		return nil, false
	}
	list := document.Content[0]
	if list.Kind != yaml.SequenceNode {
		c.at(place{line: list.Line, column: list.Column}, "", "a list of clusters is expected, not "+describe(list), fix)
		return nil, false
	}
	for n, entry := range list.Content {
		if entry.Kind != yaml.MappingNode {
			c.at(place{line: entry.Line, column: entry.Column}, fmt.Sprintf("[%d]", n), "a mapping is expected, not "+describe(entry), fix)
		}
	}
	return list.Content, len(c.problems) == 0
}

// istioTest makes a topology from entries.
type istioTest struct {
	*collector
	t       *Topology
	unnamed []int          // clusters without a network
	at      map[string]int // entry of a cluster
}

// note tells what has no counterpart.
func (i *istioTest) note(n int, key, message, fix string) {
	path := fmt.Sprintf("[%d]", n)
	if key != "" {
		path += "." + key
	}
	i.warn(path, message, fix)
}

func (i *istioTest) entry(n int, entry *yaml.Node) {
	cluster, kind := NewCluster(""), &KindProvider{}
	var meta *yaml.Node
	i.places[fmt.Sprintf("[%d]", n)] = place{line: entry.Line, column: entry.Column}
	for k := 0; k+1 < len(entry.Content); k += 2 {
		key, value := entry.Content[k].Value, entry.Content[k+1]
		i.places[fmt.Sprintf("[%d].%s", n, key)] = place{line: value.Line, column: value.Column}
		// Names with underscores are of older files; the framework's scripts still take them.
		switch key {
		case "kind":
			if value.Value != "Kubernetes" && value.Value != "" {
				i.note(n, key, fmt.Sprintf("a %s is no Kubernetes cluster; the entry is left out", shorten(value.Value)), "a topology has no counterpart for it")
				return
			}
		case "clusterName", "cluster_name":
			cluster.Name = value.Value
		case "network", "network_id":
			cluster.Network = value.Value
		case "podSubnet", "pod_subnet":
			kind.PodSubnet = value.Value
		case "svcSubnet", "svc_subnet":
			kind.ServiceSubnet = value.Value
		case "primaryClusterName":
			cluster.Primary = value.Value
		case "configClusterName":
			cluster.Config = value.Value
		case "meta":
			meta = value
		case "httpProxy", "proxyKubectlOnly":
			if value.Value != "" && value.Value != "false" {
				i.note(n, key, "proxies of clusters are the kubeconfig's here", "write proxy-url into the kubeconfig that the cluster's provider names")
			}
		case "controlPlaneClusterName":
			i.note(n, key, "Istio's tests do not read this key either, so the cluster is its own primary", "write primary: <cluster> for the cluster if that is not meant")
		default:
			i.note(n, key, "the key is not known; it is left out", "a topology has no counterpart for it")
		}
	}
	if cluster.Name == "" {
		cluster.Name = fmt.Sprintf("cluster-%d", n) // as the framework's flags call them
		i.note(n, "", fmt.Sprintf("the cluster has no name; it is called %s", cluster.Name), "write another in the file that is written")
	}
	if i.at == nil {
		i.at = map[string]int{}
	}
	i.at[cluster.Name] = n
	cluster.Provider.Kind = kind
	i.meta(n, meta, &cluster)
	if kind := cluster.Provider.Kind; kind != nil && *kind.said() == (Allocation{}) {
		cluster.Provider.Kind = nil // the default
	}
	i.t.Spec.Clusters = append(i.t.Spec.Clusters, cluster)
	if cluster.Network == "" {
		i.unnamed = append(i.unnamed, len(i.t.Spec.Clusters)-1)
	}
}

// said are the subnets alone.
func (k *KindProvider) said() *Allocation {
	return &Allocation{PodSubnet: k.PodSubnet, ServiceSubnet: k.ServiceSubnet}
}

// meta holds what is particular to a kind of cluster.
func (i *istioTest) meta(n int, meta *yaml.Node, cluster *Cluster) {
	if meta == nil {
		return
	}
	for k := 0; k+1 < len(meta.Content); k += 2 {
		key, value := meta.Content[k].Value, meta.Content[k+1]
		i.places[fmt.Sprintf("[%d].meta.%s", n, key)] = place{line: value.Line, column: value.Column}
		switch {
		case key == "kubeconfig" && value.Value != "":
			if *cluster.Provider.Kind.said() != (Allocation{}) {
				i.note(n, "meta."+key, fmt.Sprintf("%s has a kubeconfig, so it is there already; its subnets are left out", cluster.Name), "they are those that it was made with")
			}
			cluster.Provider = Provider{Kubeconfig: &KubeconfigProvider{Path: value.Value}}
		case key == "fakeVM" && value.Value == "false": // none is what we have
		case key == "fakeVM":
			i.note(n, "meta."+key, "pods that stand for virtual machines have no counterpart", "workloads are pods with a sidecar")
		case key == "kubeconfig":
		default:
			i.note(n, "meta."+key, "the key is not known; it is left out", "a topology has no counterpart for it")
		}
	}
}

// networks: clusters that say none are in one network there, and each in its own here.
func (i *istioTest) networks() {
	const shared = "shared-network"
	if len(i.unnamed) < 2 {
		return
	}
	var names []string
	for _, n := range i.unnamed {
		cluster := &i.t.Spec.Clusters[n]
		cluster.Network = shared
		names = append(names, cluster.Name)
	}
	i.note(i.at[names[0]], "", fmt.Sprintf("%s have no network, which means the same one; it is called %s", strings.Join(names, ", "), shared), "write another name, or networks of their own, in the file that is written")
}

// refer drops what says no more than the defaults, and what an external control plane has not.
func (i *istioTest) refer(c *Cluster) {
	names := i.t.Names()
	n := i.at[c.Name]
	for _, r := range []struct{ key, to string }{{"primaryClusterName", c.Primary}, {"configClusterName", c.Config}} {
		if r.to != "" && !slices.Contains(names, r.to) {
			i.add(fmt.Sprintf("[%d].%s", n, r.key), fmt.Sprintf("there is no cluster %q", shorten(r.to)), "name one of "+quoted(names))
		}
	}
	if c.Primary == c.Name {
		c.Primary = ""
	}
	usual := c.Name
	if primary := i.t.Cluster(c.Primary); primary != nil {
		usual = primary.Name
		if primary.Config != "" {
			usual = primary.Config
		}
	}
	if c.Config == usual {
		c.Config = ""
	}
	if c.Primary == "" && c.Config != "" && c.Network != "" {
		i.note(n, "network", fmt.Sprintf("%s is an external control plane: no workload runs there, so it has no network of the mesh", c.Name), "the network is left out")
		c.Network = ""
	}
}
