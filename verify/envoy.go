// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// Pages of Envoy's admin interface.
const (
	pageClusters  = "/clusters?format=json"
	pageListeners = "/listeners?format=json"
)

// envoyCluster is one upstream cluster of an Envoy with its endpoints; their Cluster and
// Gateway are not filled in.
type envoyCluster struct {
	Name      string
	Endpoints []Endpoint
}

// parseClusters reads Envoy's page of clusters. The fields are those of
// envoy.admin.v3.Clusters.
func parseClusters(page []byte) ([]envoyCluster, error) {
	var doc struct {
		Statuses []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string `json:"address"`
						Port    int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
				Health   health            `json:"health_status"`
				Weight   int               `json:"weight"`
				Priority int               `json:"priority"`
				Locality topology.Locality `json:"locality"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := json.Unmarshal(page, &doc); err != nil {
		return nil, fmt.Errorf("reading Envoy's clusters: %w", err)
	}
	all := make([]envoyCluster, 0, len(doc.Statuses))
	for _, c := range doc.Statuses {
		one := envoyCluster{Name: c.Name}
		for _, h := range c.Hosts {
			if h.Address.Socket.Address == "" {
				continue // a pipe or an internal listener
			}
			one.Endpoints = append(one.Endpoints, Endpoint{
				Address: h.Address.Socket.Address, Port: h.Address.Socket.Port, Weight: max(h.Weight, 1),
				Priority: h.Priority, Locality: h.Locality, Healthy: h.Health.ok(),
			})
		}
		all = append(all, one)
	}
	return all, nil
}

// health are the marks that keep an endpoint from traffic.
type health struct {
	EDS           string `json:"eds_health_status"`
	Outlier       bool   `json:"failed_outlier_check"`
	Active        bool   `json:"failed_active_health_check"`
	PendingRemove bool   `json:"pending_dynamic_removal"`
}

func (h health) ok() bool {
	return (h.EDS == "" || h.EDS == "HEALTHY") && !h.Outlier && !h.Active && !h.PendingRemove
}

// parseListeners reads the ports that an Envoy listens on.
func parseListeners(page []byte) ([]int, error) {
	var doc struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Port int `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(page, &doc); err != nil {
		return nil, fmt.Errorf("reading Envoy's listeners: %w", err)
	}
	var ports []int
	for _, l := range doc.Statuses {
		ports = append(ports, l.Local.Socket.Port)
	}
	return ports, nil
}

// outbound is the name of the cluster by which a proxy calls a host, sni the one by which a
// gateway passes TLS through; both are Istio's.
func outbound(port int, host string) string { return fmt.Sprintf("outbound|%d||%s", port, host) }

func sni(port int, host string) string { return fmt.Sprintf("outbound_.%d_._.%s", port, host) }

// called is the host of an outbound cluster, "" for others.
func called(cluster string) string {
	if parts := strings.Split(cluster, "|"); len(parts) == 4 && parts[0] == "outbound" {
		return parts[3]
	}
	if strings.HasPrefix(cluster, "outbound_.") {
		if i := strings.LastIndex(cluster, "_."); i > 0 {
			return cluster[i+2:]
		}
	}
	return ""
}

// endpoints of one cluster by name.
func endpointsOf(clusters []envoyCluster, name string) ([]Endpoint, bool) {
	i := slices.IndexFunc(clusters, func(c envoyCluster) bool { return c.Name == name })
	if i < 0 {
		return nil, false
	}
	return clusters[i].Endpoints, true
}
