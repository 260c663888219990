// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// hindered says why requests to and from the probes of some clusters tell nothing of the mesh:
// within one of them policy keeps out even what the probe's own rules let everybody do. Empty
// where that passes, and where it fails in a way that policies do not make, such as TLS that does
// not come about: then the mesh itself is wrong.
func (w *World) hindered(clusters ...string) string {
	for _, c := range clusters {
		in, ok := w.Within[c]
		if !ok || in.Problem != "" || len(in.Outcomes) == 0 {
			continue
		}
		refused := slices.ContainsFunc(in.Outcomes, prohibited)
		if slices.ContainsFunc(in.Outcomes, func(o probe.Outcome) bool { return !prohibited(o) && !dropped(o) }) {
			continue
		}
		words, by := fmt.Sprintf("requests do not even arrive within %s: a NetworkPolicy or firewall? (%s)", c, described(in.Outcomes)), in.Network
		if refused {
			words, by = fmt.Sprintf("requests are denied even within %s: %s", c, described(in.Outcomes)), named(in.Policies, probeLabels(roleEcho))
		}
		return strings.Join(append([]string{words}, in.blame(refused, by)...), "; ")
	}
	return ""
}

// blame names what may be why.
func (in Within) blame(refused bool, by []string) []string {
	var all []string
	switch {
	case len(by) > 0 && refused:
		all = append(all, "there is "+strings.Join(by, ", "))
	case len(by) > 0:
		all = append(all, "in its namespace there is NetworkPolicy "+strings.Join(by, ", "))
	}
	if len(in.Refused) > 0 {
		all = append(all, "the probe's own rule against that was rejected: "+strings.Join(in.Refused, "; "))
	}
	return all
}

// prohibited says whether a request was denied by policy at HTTP.
func prohibited(o probe.Outcome) bool { return o.Status == http.StatusForbidden }

// dropped says whether a request got no connection: nothing answered, or something on the way
// refused it. A ready pod whose port is open does neither. Behind a sidecar that is its 503, with
// Envoy's words for it.
func dropped(o probe.Outcome) bool {
	switch o.Status {
	case 0:
		return slices.Contains([]string{probe.ErrTimeout, probe.ErrRefused, probe.ErrUnreachable, probe.ErrDNS}, o.Error)
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return slices.ContainsFunc([]string{"connection timeout", "connection_timeout", "delayed connect error", "immediate connect error"},
			func(words string) bool { return strings.Contains(o.Detail, words) })
	}
	return false
}

// named are the policies that hold for pods with some labels.
func named(policies []Policy, pod map[string]string) []string {
	var all []string
	for _, p := range policies {
		if !labels.SelectorFromSet(p.Selector).Matches(labels.Set(pod)) {
			continue
		}
		text := p.Action
		if p.Rules == 0 && p.Action == "ALLOW" {
			text = "allows nothing"
		}
		all = append(all, fmt.Sprintf("AuthorizationPolicy %s (%s)", p.Name, text))
	}
	return all
}

// guards names the policies that hold for the gateways of a cluster with some value of the label
// istio, in brackets; empty without any.
func (w *World) guards(cluster, gateway string) string {
	by := named(w.Within[cluster].Policies, map[string]string{"istio": gateway, "app": map[string]string{
		topology.IngressSelector: topology.IngressGateway, topology.EastWestSelector: topology.EastWestGateway}[gateway]})
	if len(by) == 0 {
		return ""
	}
	return " (there is " + strings.Join(by, ", ") + ")"
}
