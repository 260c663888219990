// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	securityapi "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/topology"
)

// mtlsMode is what the sidecar of a workload asks of connections to one of its ports: STRICT,
// PERMISSIVE or DISABLE. The oldest policy of each level counts: for the mesh, the namespace,
// the workload, and its port; what one leaves open comes from the one before. The rules are
// those of ComposePeerAuthentication in pilot/pkg/security/authn of istio.io/istio.
func mtlsMode(policies []*securityv1.PeerAuthentication, namespace string, workload labels.Set, port int) string {
	var mesh, own, selected *securityv1.PeerAuthentication
	older := func(old **securityv1.PeerAuthentication, p *securityv1.PeerAuthentication) {
		if *old == nil || p.CreationTimestamp.Before(&(*old).CreationTimestamp) {
			*old = p
		}
	}
	for _, p := range policies {
		selector := p.Spec.GetSelector().GetMatchLabels()
		switch {
		case len(selector) == 0 && p.Namespace == topology.SystemNamespace:
			older(&mesh, p)
		case p.Namespace != namespace:
		case len(selector) == 0:
			older(&own, p)
		case namespace != topology.SystemNamespace && labels.SelectorFromSet(selector).Matches(workload):
			older(&selected, p)
		}
	}
	mode := securityapi.PeerAuthentication_MutualTLS_PERMISSIVE
	set := func(m *securityapi.PeerAuthentication_MutualTLS) {
		if m.GetMode() != securityapi.PeerAuthentication_MutualTLS_UNSET {
			mode = m.GetMode()
		}
	}
	for _, p := range []*securityv1.PeerAuthentication{mesh, own, selected} {
		if p != nil {
			set(p.Spec.GetMtls())
		}
	}
	if selected != nil {
		set(selected.Spec.GetPortLevelMtls()[uint32(port)]) //nolint:gosec // a port
	}
	return mode.String()
}
