// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// Settings of the probe's own DestinationRules. They belong to the probe and not to the
// mesh, and stand in the report beside what was measured under them.
const (
	// connectTimeout is what a failover waits for an address that says nothing any more; patientTimeout
	// is that of all others. It is longer than the deadline of the calling application: what is slow to
	// open serves the requests after it, where a connection that is given up is opened again and again.
	connectTimeout    = "1s"
	patientTimeout    = "4s"
	consecutiveErrors = 5
	ejectionInterval  = "500ms"
	ejectionTime      = "2s"
	// routeTimeout is shorter than the deadline of the calling application: see policy.Timeout.
	routeTimeout = "1s"
)

// Paths of the authorization suite.
const (
	pathPrivate = "/private"
	pathIngress = "/ingress"
	pathOpen    = "/"
)

// ingressGateway is the Gateway object through which an outsider enters.
const ingressGateway = "verify-ingress"

// before are the objects that must be there before the pods: a proxy that starts with its
// rules in place needs no second push.
func (o objects) before(suites []string) []client.Object {
	var all []client.Object
	seen := map[string]bool{}
	for _, r := range o.roles {
		if name := account(r); !seen[name] {
			seen[name] = true
			all = append(all, o.object("v1", "ServiceAccount", name, nil))
		}
	}
	all = append(all, o.destination("default", "*."+o.namespace+".svc.cluster.local", policy{}))
	all = append(all, o.object("security.istio.io/v1", "PeerAuthentication", "default", map[string]any{
		"mtls": map[string]any{"mode": "STRICT"},
	}))
	for _, s := range o.services {
		if s.Only == "" || s.Only == o.cluster {
			all = append(all, o.service(s))
		}
		if s.Policy.Locality || s.Policy.Outlier {
			all = append(all, o.destination(s.Name, host(o.namespace, s.Name), s.Policy))
		}
		if !s.Policy.Retries {
			all = append(all, o.noRetries(s))
		}
	}
	if slices.Contains(suites, SuiteAuthorization) {
		all = append(all, o.authorization()...)
	}
	return all
}

func (o objects) object(apiVersion, kind, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	u.SetName(name)
	u.SetNamespace(o.namespace)
	u.SetLabels(o.owned)
	if spec != nil {
		u.Object["spec"] = spec
	}
	return u
}

func (o objects) service(s service) client.Object {
	ports := []any{map[string]any{"name": "http", "port": int64(probe.PortApp), "targetPort": int64(probe.PortApp)}}
	if s.Name == serviceEven {
		// A port-level mTLS mode acts on ports that a Service has.
		ports = append(ports, map[string]any{"name": "http-second", "port": int64(probe.PortAppSecond), "targetPort": int64(probe.PortAppSecond)})
	}
	return o.object("v1", "Service", s.Name, map[string]any{
		"selector": map[string]any{prefixService + s.Name: "true"}, "ports": ports,
	})
}

// destination is a DestinationRule; the one for all hosts turns locality off.
func (o objects) destination(name, host string, p policy) client.Object {
	traffic := map[string]any{
		"connectionPool": map[string]any{"tcp": map[string]any{"connectTimeout": p.connect()}},
		"loadBalancer":   map[string]any{"simple": "ROUND_ROBIN", "localityLbSetting": map[string]any{"enabled": p.Locality}},
	}
	if p.Outlier {
		traffic["outlierDetection"] = map[string]any{
			"consecutive5xxErrors": int64(consecutiveErrors), "interval": ejectionInterval,
			"baseEjectionTime": ejectionTime, "maxEjectionPercent": int64(100),
		}
	}
	return o.object("networking.istio.io/v1", "DestinationRule", name, map[string]any{"host": host, "trafficPolicy": traffic})
}

func (o objects) noRetries(s service) client.Object {
	h := host(o.namespace, s.Name)
	route := map[string]any{
		"retries": map[string]any{"attempts": int64(0)},
		"route":   []any{map[string]any{"destination": map[string]any{"host": h}}},
	}
	if s.Policy.Timeout {
		route["timeout"] = routeTimeout
	}
	return o.object("networking.istio.io/v1", "VirtualService", s.Name, map[string]any{"hosts": []any{h}, "http": []any{route}})
}

// policyEvidence is what stands in the report beside a time line.
func policyEvidence(f faultKind) map[string]any {
	p := f.policy()
	evidence := map[string]any{
		"retries": "none", "fault": f.words(), "locality": p.Locality, "connectTimeout": p.connect(), "consecutive5xxErrors": consecutiveErrors,
		"interval": ejectionInterval, "baseEjectionTime": ejectionTime, "maxEjectionPercent": 100,
	}
	if p.Retries {
		evidence["retries"] = "Istio's default"
	}
	if p.Timeout {
		evidence["timeout"] = routeTimeout
	}
	return evidence
}

// words say what the fault does.
func (f faultKind) words() string {
	switch f.Name {
	case FaultGateway:
		return "the other cluster's east-west gateway is scaled to 0 and its pods are deleted"
	case FaultNetwork:
		return "nothing comes through between the nodes of the two clusters"
	case "errors":
		return fmt.Sprintf("the backend answers %d", faultStatus)
	}
	return "the backend's pod is deleted and made again"
}

// opening are the rules without which a mesh that denies whatever nobody allowed would not let
// the probes be called: they allow all paths but those that authorization guards, and all
// connections of these pods. Neither takes anything away from rules that deny. Where nothing is
// denied they change nothing, so one that is rejected need not end the run.
func (o objects) opening() []client.Object {
	all := []any{map[string]any{}}
	return []client.Object{
		o.object("security.istio.io/v1", "AuthorizationPolicy", "open", map[string]any{
			"action": "ALLOW", "rules": []any{map[string]any{"to": operation("notPaths", pathPrivate, pathIngress)}},
		}),
		o.object("networking.k8s.io/v1", "NetworkPolicy", "open", map[string]any{
			"podSelector": map[string]any{"matchLabels": map[string]any{labelApp: probeApp}},
			"policyTypes": []any{"Ingress", "Egress"}, "ingress": all, "egress": all,
		}),
	}
}

// operation is the part of an authorization rule that says which paths it is about, or not.
func operation(key string, paths ...any) []any {
	return []any{map[string]any{"operation": map[string]any{key: paths}}}
}

// authorization guards two paths of the echo: one for the caller's identity, one for the ingress
// gateway's. The ingress gateway passes on both, so that its being denied the first one is seen,
// and one that everybody may call.
func (o objects) authorization() []client.Object {
	selector := map[string]any{"matchLabels": map[string]any{labelRole: string(roleEcho)}}
	from := func(namespace, account string) []any {
		return []any{map[string]any{"source": map[string]any{"principals": []any{
			fmt.Sprintf("%s/ns/%s/sa/%s", o.topology.Spec.Mesh.TrustDomain, namespace, account)}}}}
	}
	all := []client.Object{
		o.object("security.istio.io/v1", "PeerAuthentication", string(roleEcho), map[string]any{
			"selector": selector, "mtls": map[string]any{"mode": "STRICT"},
			"portLevelMtls": map[string]any{fmt.Sprint(probe.PortAppSecond): map[string]any{"mode": "PERMISSIVE"}},
		}),
		o.object("security.istio.io/v1", "AuthorizationPolicy", string(roleEcho), map[string]any{
			"selector": selector, "action": "ALLOW",
			"rules": []any{
				map[string]any{"from": from(o.namespace, account(roleCaller)), "to": operation("paths", pathPrivate)},
				map[string]any{"from": from(topology.SystemNamespace, topology.IngressGateway), "to": operation("paths", pathIngress)},
			},
		}),
		o.object("networking.istio.io/v1", "Gateway", ingressGateway, map[string]any{
			"selector": map[string]any{"istio": topology.IngressSelector},
			"servers": []any{map[string]any{
				"port":  map[string]any{"number": int64(80), "name": "http", "protocol": "HTTP"},
				"hosts": []any{"*." + o.zone},
			}},
		}),
	}
	for _, c := range o.topology.Members() {
		h := host(o.namespace, serviceOnly(c))
		all = append(all, o.object("networking.istio.io/v1", "VirtualService", "ingress-"+c, map[string]any{
			"hosts": []any{hostOutside(o.zone, c)}, "gateways": []any{ingressGateway},
			"http": []any{map[string]any{
				"match":   []any{exactly(pathIngress), exactly(pathPrivate), exactly(pathOpen)},
				"retries": map[string]any{"attempts": int64(0)},
				"route":   []any{map[string]any{"destination": map[string]any{"host": h, "port": map[string]any{"number": int64(probe.PortApp)}}}},
			}},
		}))
	}
	return all
}

func exactly(path string) any { return map[string]any{"uri": map[string]any{"exact": path}} }
