// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

// Pages of Envoy's admin interface.
const (
	pageClusters  = "/clusters?format=json"
	pageListeners = "/listeners?format=json"
	// pageCertificates are the certificates that istiod's agent gives; keys are redacted in it.
	pageCertificates = "/config_dump?resource=dynamic_active_secrets"
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

// Names of the secrets that Istio's agent gives a proxy (security/pkg/nodeagent/cache of
// istio.io/istio).
const (
	secretOwn   = "default"
	secretRoots = "ROOTCA"
)

// parseSecrets reads a proxy's own chain and the roots that it trusts. The fields are those of
// envoy.admin.v3.SecretsConfigDump; the private key, which Envoy redacts, is not looked at.
func parseSecrets(page []byte) (chain, roots []*x509.Certificate, err error) {
	type data struct {
		Inline []byte `json:"inline_bytes"`
		Text   string `json:"inline_string"`
	}
	var doc struct {
		Configs []struct {
			Name   string `json:"name"`
			Secret struct {
				Certificate struct {
					Chain data `json:"certificate_chain"`
				} `json:"tls_certificate"`
				Validation struct {
					CA data `json:"trusted_ca"`
				} `json:"validation_context"`
			} `json:"secret"`
		} `json:"configs"`
	}
	if err := json.Unmarshal(page, &doc); err != nil {
		return nil, nil, fmt.Errorf("reading Envoy's secrets: %w", err)
	}
	parse := func(name string, d data) []*x509.Certificate {
		list, perr := certs.ParseCertificates(append(d.Inline, d.Text...))
		if perr != nil && err == nil {
			err = fmt.Errorf("reading Envoy's secret %s: %w", name, perr)
		}
		return list
	}
	for _, c := range doc.Configs {
		switch c.Name {
		case secretOwn:
			chain = parse(c.Name, c.Secret.Certificate.Chain)
		case secretRoots:
			roots = parse(c.Name, c.Secret.Validation.CA)
		}
	}
	switch {
	case err != nil:
		return nil, nil, err
	case len(chain) == 0 || len(roots) == 0:
		return nil, nil, errors.New("reading Envoy's secrets: it has no certificate of istiod's")
	}
	return chain, roots, nil
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
