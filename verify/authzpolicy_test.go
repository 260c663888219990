// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"strings"
	"testing"

	securityapi "istio.io/api/security/v1beta1"
	typeapi "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	policyAllow  = securityapi.AuthorizationPolicy_ALLOW
	policyDeny   = securityapi.AuthorizationPolicy_DENY
	policyCustom = securityapi.AuthorizationPolicy_CUSTOM
	policyAudit  = securityapi.AuthorizationPolicy_AUDIT
)

// authz is a policy, "shop/web", for all pods of its namespace.
func authz(name string, action securityapi.AuthorizationPolicy_Action, rules ...*securityapi.Rule) *securityv1.AuthorizationPolicy {
	namespace, short, _ := strings.Cut(name, "/")
	p := &securityv1.AuthorizationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: short}}
	p.Spec.Action, p.Spec.Rules = action, rules
	return p
}

func selecting(p *securityv1.AuthorizationPolicy, app string) *securityv1.AuthorizationPolicy {
	p.Spec.Selector = &typeapi.WorkloadSelector{MatchLabels: map[string]string{"app": app}}
	return p
}

// from is a rule about who calls alone.
func from(s *securityapi.Source) *securityapi.Rule {
	return &securityapi.Rule{From: []*securityapi.Rule_From{{Source: s}}}
}

func fromPrincipal(p ...string) *securityapi.Rule { return from(&securityapi.Source{Principals: p}) }

// to adds what is called to a rule.
func to(r *securityapi.Rule, o *securityapi.Operation) *securityapi.Rule {
	r.To = []*securityapi.Rule_To{{Operation: o}}
	return r
}

func when(r *securityapi.Rule, key string, values ...string) *securityapi.Rule {
	r.When = []*securityapi.Condition{{Key: key, Values: values}}
	return r
}

// TestOneRuleHoldsForACaller is about bank/api of the trust domain mesh.example.
func TestOneRuleHoldsForACaller(t *testing.T) {
	t.Parallel()
	everybody := func() *securityapi.Rule { return &securityapi.Rule{} }
	for name, tc := range map[string]struct {
		rule *securityapi.Rule
		want truth
	}{
		"everybody":                       {everybody(), yes},
		"a source that says nothing":      {from(&securityapi.Source{}), yes},
		"its principal":                   {fromPrincipal("mesh.example/ns/bank/sa/api"), yes},
		"its principal, local":            {fromPrincipal("cluster.local/ns/bank/sa/api"), yes},
		"any trust domain":                {fromPrincipal("*/ns/bank/sa/api"), yes},
		"part of a trust domain":          {fromPrincipal("*.example/ns/bank/sa/api"), yes},
		"another account":                 {fromPrincipal("mesh.example/ns/bank/sa/web"), no},
		"longer account":                  {fromPrincipal("mesh.example/ns/bank/sa/api2"), no},
		"another trust domain":            {fromPrincipal("old.example/ns/bank/sa/api"), perhaps}, // an alias?
		"another one and another account": {fromPrincipal("old.example/ns/bank/sa/web"), no},
		"every account of its namespace":  {fromPrincipal("cluster.local/ns/bank/sa/*"), yes},
		"prefix, without the last part":   {fromPrincipal("mesh.example/ns/bank/*"), yes},
		"local is a name in a prefix":     {fromPrincipal("cluster.local/ns/bank/*"), no},
		"anybody with a certificate":      {fromPrincipal("*"), yes},
		"the second of two":               {fromPrincipal("cluster.local/ns/bank/sa/web", "cluster.local/ns/bank/sa/api"), yes},
		"with the scheme":                 {fromPrincipal("spiffe://mesh.example/ns/bank/sa/api"), no},
		"not its principal":               {from(&securityapi.Source{NotPrincipals: []string{"cluster.local/ns/bank/sa/api"}}), no},
		"not another's":                   {from(&securityapi.Source{NotPrincipals: []string{"cluster.local/ns/shop/sa/web"}}), yes},
		"not an alias's":                  {from(&securityapi.Source{NotPrincipals: []string{"old.example/ns/bank/sa/api"}}), perhaps},
		"its namespace":                   {from(&securityapi.Source{Namespaces: []string{"shop", "bank"}}), yes},
		"another namespace":               {from(&securityapi.Source{Namespaces: []string{"shop"}}), no},
		"namespaces by pattern":           {from(&securityapi.Source{Namespaces: []string{"b*k"}}), yes},
		"not its namespace":               {from(&securityapi.Source{NotNamespaces: []string{"ban*"}}), no},
		"its account":                     {from(&securityapi.Source{ServiceAccounts: []string{"bank/api"}}), yes},
		"an account of the policy's own":  {from(&securityapi.Source{ServiceAccounts: []string{"api"}}), no},
		"its trust domain":                {from(&securityapi.Source{TrustDomains: []string{"mesh.example"}}), yes},
		"trust domains by pattern":        {from(&securityapi.Source{TrustDomains: []string{"*.test"}}), no},
		"perhaps its trust domain":        {from(&securityapi.Source{TrustDomains: []string{"old.example"}}), perhaps},
		"an address":                      {from(&securityapi.Source{IpBlocks: []string{"10.0.0.0/8"}}), perhaps},
		"a token":                         {from(&securityapi.Source{RequestPrincipals: []string{"*"}}), perhaps},
		"not a remote address":            {from(&securityapi.Source{NotRemoteIpBlocks: []string{"10.0.0.0/8"}}), perhaps},
		"an address of somebody else":     {from(&securityapi.Source{IpBlocks: []string{"10.0.0.0/8"}, Namespaces: []string{"shop"}}), no},
		"a path":                          {to(everybody(), &securityapi.Operation{Paths: []string{"/admin"}}), perhaps},
		"not a path":                      {to(everybody(), &securityapi.Operation{NotPaths: []string{"/admin"}}), perhaps},
		"any path and method":             {to(everybody(), &securityapi.Operation{Paths: []string{"*"}, Methods: []string{"*"}}), yes},
		"not any path":                    {to(everybody(), &securityapi.Operation{NotPaths: []string{"*"}}), no},
		"a port":                          {to(everybody(), &securityapi.Operation{Ports: []string{"80"}}), perhaps},
		"an operation that says nothing":  {to(everybody(), &securityapi.Operation{}), yes},
		"a path of somebody else":         {to(fromPrincipal("cluster.local/ns/shop/sa/web"), &securityapi.Operation{Paths: []string{"/admin"}}), no},
		"a path of its own":               {to(fromPrincipal("*/ns/bank/sa/api"), &securityapi.Operation{Paths: []string{"/admin"}}), perhaps},
		"a header":                        {when(everybody(), "request.headers[x-user]", "1"), perhaps},
		"its namespace, as a condition":   {when(everybody(), "source.namespace", "bank"), yes},
		"another, as a condition":         {when(everybody(), "source.principal", "cluster.local/ns/shop/sa/web"), no},
	} {
		q := question{by: identity{trustDomain: "mesh.example", namespace: "bank", account: "api"}, namespace: "shop"}
		if got := q.rule(tc.rule); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// TestWhomPoliciesLetIn is about calls of bank/api to a pod with the label app=web in shop.
func TestWhomPoliciesLetIn(t *testing.T) {
	t.Parallel()
	everybody := &securityapi.Rule{}
	me, other := fromPrincipal("cluster.local/ns/bank/sa/api"), fromPrincipal("cluster.local/ns/shop/sa/web")
	get := func() *securityapi.Rule {
		return to(fromPrincipal("cluster.local/ns/bank/sa/api"), &securityapi.Operation{Methods: []string{"GET"}})
	}
	dryly := func(p *securityv1.AuthorizationPolicy) *securityv1.AuthorizationPolicy {
		p.Annotations = map[string]string{"istio.io/dry-run": "true"}
		return p
	}
	waypoint := authz("shop/waypoint", policyDeny, everybody)
	waypoint.Spec.TargetRefs = []*typeapi.PolicyTargetReference{{Kind: "Service", Name: "web"}}
	type policies = []*securityv1.AuthorizationPolicy
	for name, tc := range map[string]struct {
		policies policies
		want     truth
		words    string
	}{
		"none":                               {nil, yes, "no policy keeps it out"},
		"allowed":                            {policies{authz("shop/a", policyAllow, other, me)}, yes, "it is named by ALLOW shop/a"},
		"others are allowed":                 {policies{authz("shop/a", policyAllow, other)}, no, "it is not named by ALLOW shop/a"},
		"nobody is allowed":                  {policies{authz("shop/a", policyAllow)}, no, "it is not named by ALLOW shop/a"},
		"allowed by one of two":              {policies{authz("shop/a", policyAllow), authz("shop/b", policyAllow, me)}, yes, "it is named by ALLOW shop/b"},
		"denied":                             {policies{authz("shop/d", policyDeny, me)}, no, "it is named by DENY shop/d"},
		"denied before it is allowed":        {policies{authz("shop/a", policyAllow, me), authz("shop/d", policyDeny, me)}, no, "it is named by DENY shop/d"},
		"others are denied":                  {policies{authz("shop/d", policyDeny, other)}, yes, "no policy keeps it out"},
		"nobody is denied":                   {policies{authz("shop/d", policyDeny)}, yes, "no policy keeps it out"},
		"of the root namespace":              {policies{authz("istio-system/d", policyDeny, me)}, no, "it is named by DENY istio-system/d"},
		"of another namespace":               {policies{authz("bank/d", policyDeny, everybody)}, yes, "no policy keeps it out"},
		"for another workload":               {policies{selecting(authz("shop/d", policyDeny, everybody), "db")}, yes, "no policy keeps it out"},
		"of the root, for another workload":  {policies{selecting(authz("istio-system/a", policyAllow), "gateway")}, yes, "no policy keeps it out"},
		"for this workload":                  {policies{selecting(authz("shop/d", policyDeny, everybody), "web")}, no, "it is named by DENY shop/d"},
		"for a waypoint":                     {policies{waypoint}, yes, "no policy keeps it out"},
		"only tried":                         {policies{dryly(authz("shop/d", policyDeny, me)), dryly(authz("shop/a", policyAllow))}, yes, "no policy keeps it out"},
		"only logged":                        {policies{authz("shop/l", policyAudit, me)}, yes, "no policy keeps it out"},
		"some methods are allowed":           {policies{authz("shop/a", policyAllow, get())}, perhaps, "ALLOW shop/a looks at methods"},
		"some, and all by another":           {policies{authz("shop/a", policyAllow, get()), authz("shop/b", policyAllow, me)}, yes, "it is named by ALLOW shop/b"},
		"some methods are denied":            {policies{authz("shop/d", policyDeny, get()), authz("shop/a", policyAllow, me)}, perhaps, "DENY shop/d looks at methods"},
		"some are denied and none allowed":   {policies{authz("shop/d", policyDeny, get()), authz("shop/a", policyAllow, other)}, no, "it is not named by ALLOW shop/a"},
		"an external authorizer":             {policies{authz("shop/c", policyCustom, everybody)}, perhaps, "CUSTOM shop/c asks an external authorizer"},
		"an external authorizer of others":   {policies{authz("shop/c", policyCustom, other)}, yes, "no policy keeps it out"},
		"denied whatever an authorizer says": {policies{authz("shop/c", policyCustom, everybody), authz("shop/d", policyDeny, me)}, no, "it is named by DENY shop/d"},
	} {
		got, words := admitted(tc.policies, "shop", labels.Set{"app": "web"}, identity{trustDomain: "cluster.local", namespace: "bank", account: "api"})
		if got != tc.want || words != tc.words {
			t.Errorf("%s: %d, %q, want %d, %q", name, got, words, tc.want, tc.words)
		}
	}
	if got, _ := admitted(policies{authz("shop/a", policyAllow, me)}, "shop", nil, identity{trustDomain: "cluster.local", namespace: "bank", account: "api", untold: true}); got != perhaps {
		t.Errorf("without mTLS: %d", got)
	}
}

func TestPoliciesThatSelectAService(t *testing.T) {
	t.Parallel()
	bound := authz("shop/waypoint", policyDeny)
	bound.Spec.TargetRefs = []*typeapi.PolicyTargetReference{{Kind: "Gateway", Name: "w"}}
	once := authz("shop/old", policyDeny)
	once.Spec.TargetRef = &typeapi.PolicyTargetReference{Kind: "Gateway", Name: "w"}
	got := policyNames(policyTexts(effective([]*securityv1.AuthorizationPolicy{
		selecting(authz("shop/web", policyAllow), "web"), selecting(authz("shop/db", policyDeny), "db"), authz("shop/all", policyDeny),
		authz("istio-system/root", policyAllow), selecting(authz("istio-system/gw", policyDeny), "gw"), authz("bank/all", policyDeny), bound, once,
	}, "shop", []labels.Set{{"app": "web"}})))
	if want := "ALLOW istio-system/root, ALLOW shop/web, DENY shop/all"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if slices.Equal(policyTexts([]*securityv1.AuthorizationPolicy{authz("shop/web", policyAllow)}), policyTexts([]*securityv1.AuthorizationPolicy{authz("shop/web", policyAllow, &securityapi.Rule{})})) {
		t.Error("to allow nothing is to allow everything")
	}
}
