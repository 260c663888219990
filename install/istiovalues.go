// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"slices"

	"github.com/meshfed/meshfed/topology"
)

// Values are the istiod chart's values for a cluster: what follows from the topology, then
// the topology's istio.values and istio.meshConfig, then the cluster's. Later ones win, maps are
// merged and lists replaced; the profile, which the chart applies itself, loses to all of them.
func (i Istiod) Values(cluster *topology.Cluster) map[string]any {
	spec := i.Topology.Spec
	read := cluster
	if cluster.IsExternal() {
		// istiod is known by the cluster that it reads.
		read = i.Topology.Cluster(cluster.Config)
	}
	values := map[string]any{
		"global": map[string]any{
			"hub": i.hub(istioHub),
			"tag": i.Topology.IstioRelease(),
			// What a bundle has loaded must never be asked of a registry.
			"imagePullPolicy": "IfNotPresent",
			"meshID":          spec.Mesh.ID,
			"multiCluster":    map[string]any{"clusterName": read.Name},
			"network":         read.Network,
		},
		"meshConfig": i.meshConfig(),
		// Lets istiod accept a bundle of several roots, so that the root can be rotated
		// later without restarting anything.
		"env": map[string]any{"ISTIO_MULTIROOT_MESH": "true"},
	}
	if spec.Istio.Revision != "" {
		values["revision"] = spec.Istio.Revision
	}
	if spec.Istio.Tag != "" {
		values["revisionTags"] = []any{spec.Istio.Tag}
	}
	if profile := i.profile(); profile != "" {
		values["profile"] = profile
	}
	if secrets := i.pullSecrets(); secrets != nil {
		values["global"].(map[string]any)["imagePullSecrets"] = secrets
	}
	trees := []map[string]any{values}
	if networks := i.meshNetworks(); networks != nil {
		trees = append(trees, map[string]any{"global": map[string]any{"meshNetworks": networks}})
	}
	if small(cluster) {
		trees = append(trees, smallValues())
	}
	if len(i.Topology.Served(cluster.Name)) > 0 {
		trees = append(trees, servingValues(cluster))
	}
	if i.Settings.UpstreamEnvoy {
		trees = append(trees, upstreamValues())
	}
	for _, said := range []topology.ClusterIstio{{Values: spec.Istio.Values, MeshConfig: spec.Istio.MeshConfig}, cluster.Istio} {
		trees = append(trees, said.Values)
		if len(said.MeshConfig) > 0 {
			trees = append(trees, map[string]any{"meshConfig": said.MeshConfig})
		}
	}
	return overlay(trees...)
}

// servingValues are those of an istiod that serves other clusters too.
func servingValues(cluster *topology.Cluster) map[string]any {
	// Without it istiod gives no remote cluster its root and its webhook's authority.
	values := map[string]any{"global": map[string]any{"externalIstiod": true}}
	if !cluster.IsExternal() {
		return values
	}
	// Nothing is injected or validated in the cluster that it runs in, and nobody reads that
	// one: https://istio.io/latest/docs/setup/install/external-controlplane/
	return overlay(values, map[string]any{
		"global": map[string]any{
			"operatorManageWebhooks": true, "configValidation": false, "enableReaderRBAC": false,
			"omitSidecarInjectorConfigMap": true,
		},
		"configMap": false,
		// Remote secrets lie beside istiod, not in the cluster that it reads.
		"env": map[string]any{"LOCAL_CLUSTER_SECRET_WATCHER": "true"},
	})
}

// profile is the chart's name of the installation profile. The charts know none of the name
// "default": it is what they do without one.
func (m Mesh) profile() string {
	if profile := m.Topology.Spec.Istio.Profile; profile != "default" {
		return profile
	}
	return ""
}

func (i Istiod) meshConfig() map[string]any {
	metadata := map[string]any{
		// The second half of rotating roots without restarts: agents take trust bundles
		// from istiod as they change.
		"PROXY_CONFIG_XDS_AGENT": "true",
	}
	if i.Topology.Spec.Istio.DNSProxying {
		metadata["ISTIO_META_DNS_CAPTURE"] = "true"
	}
	config := map[string]any{
		"trustDomain":   i.Topology.Spec.Mesh.TrustDomain,
		"accessLogFile": "/dev/stdout",
		"defaultConfig": map[string]any{"proxyMetadata": metadata},
	}
	if settings := i.serviceSettings(); settings != nil {
		config["serviceSettings"] = settings
	}
	return config
}

// serviceSettings are the services that answer their own cluster only, or nil. The probes are
// spared from a rule for all: to istiod the longer name counts.
func (i Istiod) serviceSettings() []any {
	hosts := i.Topology.Spec.Istio.ClusterLocal
	if len(hosts) == 0 {
		return nil
	}
	setting := func(local bool, hosts []any) any {
		return map[string]any{"settings": map[string]any{"clusterLocal": local}, "hosts": hosts}
	}
	var local []any
	for _, host := range hosts {
		local = append(local, host)
	}
	settings := []any{setting(true, local)}
	if slices.Contains(hosts, "*.svc.cluster.local") {
		settings = append(settings, setting(false, []any{"*." + i.Topology.Spec.Verify.Probe.Namespace + ".svc.cluster.local"}))
	}
	return settings
}

// smallValues lower what the chart asks for (half a core and 2 GiB for istiod, a tenth of
// a core for each proxy) to what an idle mesh on one machine uses.
func smallValues() map[string]any {
	return map[string]any{
		"autoscaleEnabled": false,
		"replicaCount":     1,
		"resources":        requests("50m", "128Mi"),
		"global": map[string]any{
			"proxy": map[string]any{"resources": requests("10m", "64Mi")},
		},
	}
}

func requests(cpu, memory string) map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}}
}

// upstreamValues turn off the filters that only Istio's own build of Envoy has; a proxy
// that does not know a filter rejects its whole configuration.
func upstreamValues() map[string]any {
	return map[string]any{
		"env": map[string]any{
			"PILOT_ENABLE_METADATA_EXCHANGE": "false",
			"PILOT_ENABLE_ALPN_FILTER":       "false",
		},
		"telemetry":  map[string]any{"enabled": false},
		"meshConfig": map[string]any{"defaultProviders": map[string]any{"metrics": []any{}}},
	}
}
