// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/certs"
)

// judgeServed judges each cluster without an istiod, and says nothing of the others.
func judgeServed(w *World) []Result {
	var out []Result
	for _, c := range w.Clusters {
		cluster := w.Topology.Cluster(c)
		if cluster == nil || cluster.IsPrimary() {
			continue
		}
		out = append(out, w.judgeServedOf(c, cluster.Primary, cluster.Config).between("", c).with("see", fmt.Sprintf(
			"kubectl --context %s -n istio-system get namespace/istio-system endpointslice mutatingwebhookconfiguration -o yaml", w.Topology.Context(c))))
	}
	return out
}

func (w *World) judgeServedOf(c, primary, config string) Result {
	s, ok := w.Served[c]
	names := strings.Split(s.ControlPlanes, ",")
	root := ""
	if signer := w.signer(c); signer.Root != nil {
		root = certs.Fingerprint(signer.Root)
	}
	switch {
	case !ok || s.Problem != "":
		return unsure("what leads %s to the istiod of %s could not be looked at: %s", c, primary, or(s.Problem, "it was not looked at"))
	case !slices.Contains(names, config) && !slices.Contains(names, "*"):
		return fail("INS007", "annotation topology.istio.io/controlPlaneClusters of istio-system in %s is %q and does not name %s: its istiod gives %s no root and no webhook certificate",
			c, s.ControlPlanes, config, c)
	case s.Address == "":
		return fail("INS006", "Service istiod in %s leads nowhere: webhook and proxies can not reach the istiod of %s", c, primary)
	case s.At == "":
		return fail("INS006", "the istiod of %s has no address at which %s could reach it", primary, c)
	case s.Address != s.At:
		return fail("INS006", "Service istiod in %s leads to %s, the istiod of %s is at %s", c, s.Address, primary, s.At)
	case s.Untold != "":
		return fail("INS006", "the east-west gateway of %s, to which Service istiod in %s leads, does not pass istiod on: %s", primary, c, s.Untold)
	case !s.Webhook:
		return fail("INS005", "the injection webhook in %s is missing", c)
	case len(s.Bundle) == 0:
		return fail("INS005", "the injection webhook in %s has an empty caBundle: the istiod of %s has not taken the cluster on", c, primary)
	case root != "" && !slices.Contains(s.Bundle, root):
		return fail("INS005", "the injection webhook in %s trusts %s, not the root of %s, %s", c, short(s.Bundle[0]), primary, short(root))
	}
	return pass("%s is served by the istiod of %s at %s", c, primary, s.At)
}
