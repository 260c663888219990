// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/meshfed/meshfed/topology"
)

// exported says whether what belongs to one namespace is seen from another, by its exportTo. With
// none it is, as long as meshConfig does not say otherwise, which is not looked at.
func exported(to []string, owner, client string) bool {
	return len(to) == 0 || slices.ContainsFunc(to, func(n string) bool { return n == "*" || n == client || n == "." && owner == client })
}

// concerning are the DestinationRules whose host is a service's, "web.shop". A host without a dot
// is one of the rule's own namespace; any other is a whole name.
func concerning(rules []*networkingv1.DestinationRule, host string) []*networkingv1.DestinationRule {
	return slices.DeleteFunc(slices.Clone(rules), func(r *networkingv1.DestinationRule) bool { return !globbed(wholeHost(r), host+clusterDomain) })
}

func wholeHost(r *networkingv1.DestinationRule) string {
	if h := r.Spec.GetHost(); strings.Contains(h, ".") || h == "*" {
		return h
	}
	return r.Spec.GetHost() + "." + r.Namespace + clusterDomain
}

// reaching are, of the DestinationRules for a host, those by which the proxies of a namespace call
// it: of the client's namespace, else of the service's, else of the root namespace, as in "Cross-namespace
// configuration" of https://istio.io/latest/docs/ops/best-practices/traffic-management/ and
// destinationRule in pilot/pkg/model/push_context.go of istio.io/istio. In each place the longest
// host counts. More than one are for one host, the oldest first.
func reaching(rules []*networkingv1.DestinationRule, host, client string) []*networkingv1.DestinationRule {
	_, namespace, _ := strings.Cut(host, ".")
	visible := func(r *networkingv1.DestinationRule) bool { return exported(exportTo(r), r.Namespace, client) }
	shared := func(r *networkingv1.DestinationRule) bool { return !private(r) }
	own := visible
	if client == topology.SystemNamespace {
		own = private // what is there for the whole mesh comes last for its gateways, too
	}
	for _, place := range []struct {
		namespace string
		holds     func(*networkingv1.DestinationRule) bool
	}{{client, own}, {namespace, shared}, {topology.SystemNamespace, shared}} {
		there := slices.DeleteFunc(slices.Clone(rules), func(r *networkingv1.DestinationRule) bool { return r.Namespace != place.namespace || !place.holds(r) })
		there = slices.DeleteFunc(longest(there), func(r *networkingv1.DestinationRule) bool { return !visible(r) })
		if len(there) > 0 {
			return there
		}
	}
	return nil
}

// exportTo of a rule: one that selects its clients is for those of its own namespace.
func exportTo(r *networkingv1.DestinationRule) []string {
	if r.Spec.GetWorkloadSelector() != nil {
		return []string{"."}
	}
	return r.Spec.GetExportTo()
}

// private says whether a rule is for its own namespace alone.
func private(r *networkingv1.DestinationRule) bool {
	to := exportTo(r)
	return len(to) == 1 && (to[0] == "." || to[0] == r.Namespace)
}

// longest are the rules with the most specific host: one without a wildcard, else the longest.
func longest(rules []*networkingv1.DestinationRule) []*networkingv1.DestinationRule {
	weight := func(r *networkingv1.DestinationRule) int {
		h := wholeHost(r)
		if !strings.HasPrefix(h, "*") {
			return len(h) + 1<<16
		}
		return len(h)
	}
	most := 0
	for _, r := range rules {
		most = max(most, weight(r))
	}
	best := slices.DeleteFunc(slices.Clone(rules), func(r *networkingv1.DestinationRule) bool { return weight(r) < most })
	slices.SortFunc(best, func(a, b *networkingv1.DestinationRule) int {
		if d := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return best
}

// ejects says whether the rules that reach a namespace's proxies set outlier detection for a port of
// a host, and in words which do or do not. Istio merges rules for one host, of which the oldest with a
// traffic policy counts; it is perhaps where they are not all for the same clients.
func ejects(rules []*networkingv1.DestinationRule, host, client string, port int) (truth, string) {
	deciding := reaching(rules, host, client)
	is, same := no, true
	var names []string
	found := false
	for _, r := range deciding {
		names = append(names, r.Namespace+"/"+r.Name)
		same = same && r.Spec.GetWorkloadSelector() == nil && slices.Equal(exportTo(r), exportTo(deciding[0]))
		if !found && r.Spec.GetTrafficPolicy() != nil {
			is, found = certainly(setsOutlier(r, port)), true
		}
	}
	words := "no DestinationRule is for it"
	switch list := "DestinationRule " + strings.Join(names, ", "); {
	case len(deciding) > 0 && !same:
		return perhaps, list + " are for different clients"
	case is == yes:
		return yes, list
	case len(deciding) > 0:
		words = list + " sets none"
	}
	for _, r := range rules {
		if setsOutlier(r, port) && !slices.Contains(deciding, r) {
			words += fmt.Sprintf("; that of %s/%s does not reach %s", r.Namespace, r.Name, client)
		}
	}
	return no, words
}

// setsOutlier says whether a rule sets outlier detection for a port. What it sets for that port alone
// stands in for all of the rest.
func setsOutlier(r *networkingv1.DestinationRule, port int) bool {
	policy := r.Spec.GetTrafficPolicy()
	o := policy.GetOutlierDetection()
	for _, p := range policy.GetPortLevelSettings() {
		if int(p.GetPort().GetNumber()) == port {
			o = p.GetOutlierDetection()
		}
	}
	return o != nil
}
