// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	securityapi "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/topology"
)

// truth is what can be said of all requests of a caller at once. "And" is min, "or" is max: these
// are Kleene's three values.
type truth int

const (
	no truth = iota
	// perhaps: it depends on what is not known of the caller, such as the path of a request.
	perhaps
	yes
)

func (a truth) not() truth { return yes - a }

func certainly(b bool) truth {
	if b {
		return yes
	}
	return no
}

const (
	// annotationDryRun makes istiod log what an AuthorizationPolicy would do, and not do it.
	annotationDryRun = "istio.io/dry-run"
	// localTrustDomain means the mesh's own in policies, whatever that is called.
	localTrustDomain = "cluster.local"
)

// identity is who calls, as its certificate says.
type identity struct {
	trustDomain, namespace, account string
	// untold: without mTLS there is no certificate to read it from.
	untold bool
}

// admitted says whether the policies for a workload let a caller in, and in words which do or do
// not: an external authorizer first, whose mind nobody knows, then DENY, then ALLOW, as in
// https://istio.io/latest/docs/reference/config/security/authorization-policy/. It is perhaps where
// something else than the identity is asked for.
func admitted(policies []*securityv1.AuthorizationPolicy, namespace string, workload labels.Set, by identity) (truth, string) {
	var guards, naming, conditions, denying, doubts []string
	for _, p := range policies {
		if !selects(p, namespace, workload) || dry(p) {
			continue
		}
		name := fmt.Sprintf("%s %s/%s", p.Spec.GetAction(), p.Namespace, p.Name)
		matches, asked := matching(p, by)
		doubt := fmt.Sprintf("%s looks at %s", name, strings.Join(asked, ", "))
		switch action := p.Spec.GetAction(); {
		case action == securityapi.AuthorizationPolicy_ALLOW:
			guards = append(guards, name)
			switch matches {
			case yes:
				naming = append(naming, name)
			case perhaps:
				conditions = append(conditions, doubt)
			}
		case matches == no || action == securityapi.AuthorizationPolicy_AUDIT:
		case action == securityapi.AuthorizationPolicy_CUSTOM:
			doubts = append(doubts, fmt.Sprintf("%s asks %s", name, or(p.Spec.GetProvider().GetName(), "an external authorizer")))
		case matches == yes:
			denying = append(denying, name)
		default:
			doubts = append(doubts, doubt)
		}
	}
	if len(naming) == 0 {
		doubts = append(doubts, conditions...)
	}
	switch {
	case len(denying) > 0:
		return no, "it is named by " + strings.Join(denying, ", ")
	case len(guards) > 0 && len(naming)+len(conditions) == 0:
		return no, "it is not named by " + strings.Join(guards, ", ")
	case len(doubts) > 0:
		return perhaps, strings.Join(doubts, ", ")
	case len(naming) > 0:
		return yes, "it is named by " + strings.Join(naming, ", ")
	}
	return yes, "no policy keeps it out"
}

// selects says whether a policy holds for the sidecar of a workload. Those of the root namespace
// hold everywhere; what is bound by targetRefs is for gateways and waypoints.
func selects(p *securityv1.AuthorizationPolicy, namespace string, workload labels.Set) bool {
	return (p.Namespace == namespace || p.Namespace == topology.SystemNamespace) && p.Spec.GetTargetRef() == nil && len(p.Spec.GetTargetRefs()) == 0 &&
		labels.SelectorFromSet(p.Spec.GetSelector().GetMatchLabels()).Matches(workload)
}

func dry(p *securityv1.AuthorizationPolicy) bool {
	is, err := strconv.ParseBool(p.Annotations[annotationDryRun])
	return err == nil && is
}

// matching says whether some rule of a policy is about the requests of a caller; where that is perhaps,
// also what it asks for. A policy without rules is about none.
func matching(p *securityv1.AuthorizationPolicy, by identity) (truth, []string) {
	best := no
	var asked []string
	for _, rule := range p.Spec.GetRules() {
		q := question{by: by, namespace: p.Namespace}
		is := q.rule(rule)
		if best = max(best, is); is == perhaps {
			asked = append(asked, q.asked...)
		}
	}
	slices.Sort(asked)
	return best, slices.Compact(asked)
}

// question is one rule that is held against an identity. It follows pilot/pkg/security/authz/model
// of istio.io/istio, which makes Envoy's rules of it.
type question struct {
	by identity
	// namespace of the policy, for service accounts without one.
	namespace string
	// asked are the attributes that would have to be known.
	asked []string
}

func (q *question) rule(r *securityapi.Rule) truth {
	from, to, when := yes, yes, yes
	if len(r.GetFrom()) > 0 {
		from = some(r.GetFrom(), func(f *securityapi.Rule_From) truth { return q.source(f.GetSource()) })
	}
	if len(r.GetTo()) > 0 {
		to = some(r.GetTo(), func(t *securityapi.Rule_To) truth { return q.operation(t.GetOperation()) })
	}
	for _, c := range r.GetWhen() {
		when = min(when, q.condition(c))
	}
	return min(from, to, when)
}

func (q *question) source(s *securityapi.Source) truth {
	return min(
		q.clause("principals", s.GetPrincipals(), s.GetNotPrincipals(), q.principal),
		q.clause("namespaces", s.GetNamespaces(), s.GetNotNamespaces(), q.inNamespace),
		q.clause("serviceAccounts", s.GetServiceAccounts(), s.GetNotServiceAccounts(), q.account),
		q.clause("trustDomains", s.GetTrustDomains(), s.GetNotTrustDomains(), q.inTrustDomain),
		q.clause("ipBlocks", s.GetIpBlocks(), s.GetNotIpBlocks(), unknown),
		q.clause("remoteIpBlocks", s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks(), unknown),
		q.clause("requestPrincipals", s.GetRequestPrincipals(), s.GetNotRequestPrincipals(), unknown),
	)
}

func (q *question) operation(o *securityapi.Operation) truth {
	return min(
		q.clause("hosts", o.GetHosts(), o.GetNotHosts(), ofRequest),
		q.clause("ports", o.GetPorts(), o.GetNotPorts(), unknown),
		q.clause("methods", o.GetMethods(), o.GetNotMethods(), ofRequest),
		q.clause("paths", o.GetPaths(), o.GetNotPaths(), ofRequest),
	)
}

func (q *question) condition(c *securityapi.Condition) truth {
	is := map[string]func(string) truth{
		"source.principal": q.principal, "source.namespace": q.inNamespace,
		"source.serviceAccount": q.account, "source.trustDomain": q.inTrustDomain,
	}[c.GetKey()]
	if is == nil {
		is = unknown
	}
	return q.clause(c.GetKey(), c.GetValues(), c.GetNotValues(), is)
}

// clause is one attribute: one of the values, and none of the others.
func (q *question) clause(attribute string, values, others []string, is func(string) truth) truth {
	all := yes
	if len(values) > 0 {
		all = some(values, is)
	}
	if len(others) > 0 {
		all = min(all, some(others, is).not())
	}
	if all == perhaps {
		q.asked = append(q.asked, attribute)
	}
	return all
}

// some is "or".
func some[T any](list []T, is func(T) truth) truth {
	best := no
	for _, v := range list {
		best = max(best, is(v))
	}
	return best
}

// unknown is of a value that nothing is known of, ofRequest of one that every request has.
func unknown(string) truth { return perhaps }

func ofRequest(pattern string) truth {
	if pattern == "*" {
		return yes
	}
	return perhaps
}

// principal is a whole identity, as in cluster.local/ns/shop/sa/web, with a * at one end.
func (q *question) principal(pattern string) truth {
	if q.by.untold {
		return perhaps
	}
	own := "/ns/" + q.by.namespace + "/sa/" + q.by.account
	parts := strings.Split(pattern, "/")
	if len(parts) != len(strings.Split(own, "/")) || parts[0] == "*" {
		return certainly(globbed(pattern, q.by.trustDomain+own))
	}
	return min(q.alias(parts[0]), certainly(globbed(strings.Replace(pattern, parts[0], q.by.trustDomain, 1), q.by.trustDomain+own)))
}

func (q *question) inNamespace(pattern string) truth {
	if q.by.untold {
		return perhaps
	}
	is, err := path.Match(pattern, q.by.namespace)
	return certainly(err == nil && is)
}

func (q *question) account(name string) truth {
	if q.by.untold {
		return perhaps
	}
	if !strings.Contains(name, "/") {
		name = q.namespace + "/" + name
	}
	return certainly(name == q.by.namespace+"/"+q.by.account)
}

func (q *question) inTrustDomain(pattern string) truth {
	if q.by.untold {
		return perhaps
	}
	if strings.Contains(pattern, "*") {
		is, err := path.Match(pattern, q.by.trustDomain)
		return certainly(err == nil && is)
	}
	if pattern == q.by.trustDomain {
		return yes
	}
	return perhaps // an alias of the mesh's own?
}

// alias says whether a trust domain in a policy stands for the caller's. Another name may be an
// alias (meshConfig.trustDomainAliases), which is not looked at.
func (q *question) alias(name string) truth {
	if name == localTrustDomain || globbed(name, q.by.trustDomain) {
		return yes
	}
	return perhaps
}

// globbed compares with a pattern that has a * at one end, or is one; then anything but nothing
// fits.
func globbed(pattern, value string) bool {
	switch {
	case pattern == "*":
		return value != ""
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(value, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(value, pattern[:len(pattern)-1])
	}
	return pattern == value
}
