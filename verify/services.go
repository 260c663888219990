// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"

	"github.com/meshfed/meshfed/topology"
)

// role is what a probe pod is for. Every pod runs the same program, so each can also stand
// behind a Service.
type role string

const (
	// roleCaller sends the load and holds the identity that policies allow.
	roleCaller role = "caller"
	// roleStranger holds an identity that they do not.
	roleStranger role = "stranger"
	// roleEcho answers.
	roleEcho role = "echo"
	// roleAway answers too, and is the one that goes away.
	roleAway role = "away"
	// roleBeyond answers from another zone of the cluster; only clusters with several have one.
	roleBeyond role = "beyond"
	// roleOutsider has no sidecar.
	roleOutsider role = "outsider"
)

// heavy is how many pods of the heavy cluster stand behind a heavy service: the caller, the
// stranger and the echo, against the echo alone elsewhere.
const heavy = 3

// policy is how Istio shall treat a service of the probe.
type policy struct {
	// Locality turns locality load balancing on; it needs outlier detection to act.
	Locality bool
	// Outlier detection ejects a backend that answers errors.
	Outlier bool
	// Retries as Istio has them by default; none otherwise.
	Retries bool
	// Timeout bounds a request in the caller's Envoy, where there are no retries: one that hangs
	// on a dead connection counts against the endpoint only if Envoy itself gives it up.
	Timeout bool
	// Silent says that an endpoint goes silent and istiod goes on naming it, so that only a connection
	// that is given up soon shows it.
	Silent bool
}

// connect is how long a connection may take. A loaded machine is slow and not broken: a short limit
// would turn slow answers into lost ones, and with outlier detection eject the cluster that is slow.
func (p policy) connect() string {
	if p.Silent {
		return connectTimeout
	}
	return patientTimeout
}

// service is one Service of the probe. It has the same name and selector in every cluster;
// which pods it selects there is decided by their labels.
type service struct {
	Name   string
	Policy policy
	// Only is the cluster that the Service object is made in; empty means all.
	Only string
	// Backends are the roles behind it, by cluster.
	Backends map[string][]role
}

// Names of the services.
const (
	serviceEven  = "echo"
	serviceLocal = "local"
)

func serviceOnly(cluster string) string  { return "echo-" + cluster }
func serviceAlone(cluster string) string { return "alone-" + cluster }
func serviceHeavy(cluster string) string { return "heavy-" + cluster }

// host is the name by which a service of the probe is called.
func host(namespace, service string) string { return service + "." + namespace + ".svc.cluster.local" }

// faultKind is what happens to the backends of a failover service.
type faultKind struct {
	// Name as in variants and in names of services.
	Name string
	// Role of the backends in the caller's own cluster.
	Role role
	// Retries: Istio's defaults instead of none.
	Retries bool
}

// variant is how results of the kind are told apart.
func (f faultKind) variant() string {
	if f.Retries {
		return f.Name + ", default retries"
	}
	return f.Name
}

// errors says whether the fault is answers and not absence.
func (f faultKind) errors() bool { return f.Name == "errors" }

// disruptive says whether the fault is outside of the probe's namespace: the way to the other
// cluster goes, and not the own backend.
func (f faultKind) disruptive() bool { return f.Name == FaultGateway || f.Name == FaultNetwork }

// policy is how Istio treats the services of the kind.
func (f faultKind) policy() policy {
	return policy{Locality: !f.disruptive(), Outlier: true, Retries: f.Retries, Timeout: f.disruptive() && !f.Retries, Silent: f.disruptive()}
}

// faultKinds are the faults, each under the probe's own policy and under Istio's default
// retries; those that are disruptive come last, and only where they are asked for.
func faultKinds(disruptive bool) []faultKind {
	kinds := []faultKind{
		{"errors", roleEcho, false}, {"errors", roleEcho, true},
		{"away", roleAway, false}, {"away", roleAway, true},
	}
	if disruptive {
		kinds = append(kinds, faultKind{FaultGateway, roleEcho, false}, faultKind{FaultGateway, roleEcho, true},
			faultKind{FaultNetwork, roleEcho, false}, faultKind{FaultNetwork, roleEcho, true})
	}
	return kinds
}

// serviceFault is named by places in the file: two cluster names can be too long together.
func serviceFault(t *topology.Topology, f faultKind, p topology.Pair) string {
	names := t.Names()
	name := fmt.Sprintf("%s-%d-%d", f.Name, slices.Index(names, p.From)+1, slices.Index(names, p.To)+1)
	if f.Retries {
		name += "-defaults"
	}
	return name
}

// services are what the suites need, in a fixed order.
func services(t *topology.Topology, clusters, suites []string, disruptive bool) []service {
	echo := map[string][]role{}
	for _, c := range clusters {
		echo[c] = []role{roleEcho}
	}
	all := []service{{Name: serviceEven, Backends: echo}}
	for _, c := range clusters {
		all = append(all, service{Name: serviceOnly(c), Backends: map[string][]role{c: {roleEcho}}})
	}
	if slices.Contains(suites, SuiteDNS) {
		for _, c := range clusters {
			all = append(all, service{Name: serviceAlone(c), Only: c, Backends: map[string][]role{c: {roleEcho}}})
		}
	}
	if slices.Contains(suites, SuiteWeights) {
		for _, c := range clusters {
			backends := map[string][]role{}
			for k, v := range echo {
				backends[k] = v
			}
			backends[c] = []role{roleCaller, roleStranger, roleEcho}
			all = append(all, service{Name: serviceHeavy(c), Backends: backends})
		}
	}
	if slices.Contains(suites, SuiteLocality) {
		spread := map[string][]role{}
		for _, c := range clusters {
			spread[c] = []role{roleEcho, roleBeyond}
		}
		all = append(all, service{Name: serviceLocal, Backends: spread, Policy: policy{Locality: true, Outlier: true}})
	}
	if slices.Contains(suites, SuiteFailover) {
		for _, p := range known(t, clusters) {
			for _, f := range faultKinds(disruptive) {
				all = append(all, service{
					Name:     serviceFault(t, f, p),
					Policy:   f.policy(),
					Backends: map[string][]role{p.From: {f.Role}, p.To: {roleEcho}},
				})
			}
		}
	}
	return all
}

// roles are the pods that the suites need in each cluster, but for roleBeyond.
func roles(suites []string) []role {
	all := []role{roleEcho, roleCaller}
	for _, r := range []struct {
		role   role
		suites []string
	}{
		{roleStranger, []string{SuiteAuthorization, SuiteWeights}},
		{roleOutsider, []string{SuiteAuthorization, SuiteTrust, SuiteGateway}},
		{roleAway, []string{SuiteFailover}},
	} {
		if wanted(suites, r.suites...) {
			all = append(all, r.role)
		}
	}
	return all
}

// wanted says whether one of some suites is among those that run.
func wanted(suites []string, some ...string) bool {
	return slices.ContainsFunc(some, func(s string) bool { return slices.Contains(suites, s) })
}
