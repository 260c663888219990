// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Kubeconfig is the kubeconfig file of an existing cluster: relative paths resolve against the
// topology file, a leading ~/ is the home folder. Empty means kubectl's own rules, and so it is
// for clusters that are made.
func (t *Topology) Kubeconfig(cluster string) string {
	c := t.Cluster(cluster)
	if c == nil || c.Provider.Kubeconfig == nil || c.Provider.Kubeconfig.Path == "" {
		return ""
	}
	return t.userFile(c.Provider.Kubeconfig.Path)
}

// userFile is where a file of the user's is; see Kubeconfig.
func (t *Topology) userFile(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return resolve(t.Dir, path)
}

// existing checks what only clusters of the user's own have, and what they can not have.
func (c *collector) existing(t *Topology) {
	any := false
	for i := range t.Spec.Clusters {
		cluster := &t.Spec.Clusters[i]
		at := fmt.Sprintf("spec.clusters[%d]", i)
		c.gatewayAddresses(t, at, cluster)
		if !cluster.IsExisting() || cluster.Provider.Kind != nil {
			continue // both at once is told elsewhere
		}
		any = true
		c.sameCluster(t, at, i)
		c.onKindOnly(at, cluster)
		c.ownPrimary(t, at, cluster)
		if cluster.Provider.Kubeconfig.LabelNodes && cluster.Locality.Region == "" {
			c.add(at+".provider.kubeconfig.labelNodes", "there is no locality to label nodes with", "write locality: {region: ..., zone: ...} for the cluster")
		}
		if cluster.LoadBalancer.Type == LoadBalancerMetalLB && len(cluster.LoadBalancer.Addresses) == 0 {
			c.add(at+".loadBalancer.addresses", "MetalLB is asked for in a cluster of your own, whose free addresses nobody but you knows", "write the range that it may give out: addresses: [192.0.2.10-192.0.2.20]")
		}
	}
	if !any {
		return
	}
	for _, field := range []struct{ name, fix string }{
		{"lifetime", "write how long a peer's token may live, such as lifetime: 720h"},
		{"refresh", "write refresh: Manual, and run `meshfed up` before two thirds of the lifetime are over"},
	} {
		if path := "spec.credentials." + field.name; !c.said(path) {
			c.add(path, "it must be chosen where a cluster is your own: peers get tokens of it", field.fix)
		}
	}
}

// ownPrimary refuses, until it is built, a cluster of the user's own in another shape than that of
// a primary that serves itself alone.
func (c *collector) ownPrimary(t *Topology, at string, cluster *Cluster) {
	const why = "clusters of your own that are served by another's control plane, or serve others, are planned, but not built yet"
	switch {
	case cluster.Primary != cluster.Name:
		c.add(at+".primary", why, "remove it, or use provider.kind")
	case cluster.Config != cluster.Name:
		c.add(at+".config", why, "remove it, or use provider.kind")
	case len(t.Served(cluster.Name)) > 0:
		c.add(at+".provider.kubeconfig", why, "let another cluster serve "+quoted(t.Served(cluster.Name)))
	}
}

// sameCluster refuses a kubeconfig and context that an earlier cluster has.
func (c *collector) sameCluster(t *Topology, at string, i int) {
	cluster := &t.Spec.Clusters[i]
	for j := range t.Spec.Clusters[:i] {
		other := &t.Spec.Clusters[j]
		if other.IsExisting() && t.Kubeconfig(other.Name) == t.Kubeconfig(cluster.Name) && other.Provider.Kubeconfig.Context == cluster.Provider.Kubeconfig.Context {
			c.add(at+".provider.kubeconfig", fmt.Sprintf("%q and %q are one cluster: the same kubeconfig and context", other.Name, cluster.Name), "write another context")
		}
	}
}

// onKindOnly refuses what needs a node container of this host.
func (c *collector) onKindOnly(at string, cluster *Cluster) {
	if cluster.Ingress == nil {
		return
	}
	for _, port := range []string{"http", "https"} {
		if path := at + ".ingress.hostPorts." + port; c.said(path) {
			c.add(path, "only kind clusters have their node ports published on this host", "remove it; the gateway's Service gets its address from the cluster's load balancer")
		}
	}
}

// gatewayAddresses checks the addresses that peers use in place of a gateway's own, and that
// somebody gives the gateway an address.
func (c *collector) gatewayAddresses(t *Topology, at string, cluster *Cluster) {
	for i, text := range cluster.EastWest.Addresses {
		path := fmt.Sprintf("%s.eastWest.addresses[%d]", at, i)
		switch ip, err := netip.ParseAddr(text); {
		case err != nil || ip.Zone() != "":
			c.add(path, fmt.Sprintf("%q is no IP address", shorten(text)), "write the address at which the other networks reach port 15443 of the gateway")
		case OutOfReach(text) != "":
			c.add(path, text+" "+OutOfReach(text), "write the address at which the other networks reach port 15443 of the gateway")
		case slices.Contains(cluster.EastWest.Addresses[:i], text):
			c.add(path, text+" is said twice", "keep one of the two")
		}
	}
	if cluster.LoadBalancer.Type == LoadBalancerNone && len(cluster.EastWest.Addresses) == 0 && t.HasEastWestGateway(cluster.Name) && cluster.Name != "" {
		c.add(at+".loadBalancer.type", "without a load balancer the other networks find no address of the east-west gateway",
			"write eastWest: {addresses: [...]}, where they reach its port 15443, or another type")
	}
}

// kubeconfigs looks into the kubeconfigs that the file names: files of this host only, no
// plugin is run and no server asked.
func (c *collector) kubeconfigs(t *Topology) {
	for i := range t.Spec.Clusters {
		cluster := &t.Spec.Clusters[i]
		if !cluster.IsExisting() {
			continue
		}
		at := fmt.Sprintf("spec.clusters[%d].provider.kubeconfig", i)
		files := []string{t.Kubeconfig(cluster.Name)}
		if files[0] == "" {
			files = defaultKubeconfigs()
		}
		c.kubeconfig(at, files, cluster.Provider.Kubeconfig)
	}
}

// defaultKubeconfigs are kubectl's: those of KUBECONFIG that exist, else ~/.kube/config
// (k8s.io/client-go/tools/clientcmd, ClientConfigLoadingRules).
func defaultKubeconfigs() []string {
	if list := os.Getenv("KUBECONFIG"); list != "" {
		return slices.DeleteFunc(filepath.SplitList(list), func(file string) bool {
			_, err := os.Stat(file)
			return file == "" || os.IsNotExist(err)
		})
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	return []string{filepath.Join(home, ".kube", "config")}
}

// contexts is what is read of a kubeconfig; nothing of its users is.
type contexts struct {
	Current string `yaml:"current-context"`
	Named   []struct {
		Name string `yaml:"name"`
	} `yaml:"contexts"`
}

func (c *collector) kubeconfig(at string, files []string, said *KubeconfigProvider) {
	path := at + ".path"
	if said.Path == "" {
		path = at
	}
	if len(files) == 0 {
		c.add(path, "there is no kubeconfig in kubectl's own places", "write path:, or set KUBECONFIG")
		return
	}
	current, names := "", []string(nil)
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			c.add(path, "the kubeconfig "+show(file)+" can not be read: "+reason(err), "name a readable kubeconfig; relative paths count from the topology file")
			return
		}
		var found contexts
		// The parser's own words would repeat the line, which may hold a key.
		if err := yaml.Unmarshal(data, &found); err != nil {
			c.add(path, show(file)+" is no kubeconfig", "name a kubeconfig that kubectl can use")
			return
		}
		if current == "" {
			current = found.Current
		}
		for _, one := range found.Named {
			names = append(names, one.Name)
		}
	}
	where := show(files[0])
	switch {
	case len(names) == 0:
		c.add(path, where+" has no contexts", "name a kubeconfig that kubectl can use")
	case said.Context == "" && current == "":
		c.add(at+".context", where+" has no current context", "write context: with one of "+quoted(names))
	case said.Context == "" && !slices.Contains(names, current):
		c.add(at+".context", fmt.Sprintf("%s has no context %q, which it calls current", where, shorten(current)), "write context: with one of "+quoted(names))
	case said.Context != "" && !slices.Contains(names, said.Context):
		c.add(at+".context", fmt.Sprintf("%s has no context %q", where, shorten(said.Context)), "write one of "+quoted(names))
	}
}
