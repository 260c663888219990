// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/topology"
)

const (
	// clusterDomain ends the names of Services.
	clusterDomain = ".svc.cluster.local"
	// annotationExportTo names the namespaces that know a Service.
	annotationExportTo = "networking.istio.io/exportTo"
)

// Own are the user's services in one cluster.
type Own struct {
	Problem string
	// Names of all Services but those of Kubernetes, Istio, the load balancer and verify.
	Names []string
	// Services by host as in spec.services.
	Services map[string]OwnService
}

// OwnService is one of them, by the API.
type OwnService struct {
	Problem string
	Absent  bool
	// Ports in words; HTTP is the number of the first that HTTP is spoken on, 0 without one, and
	// First that of the first of all.
	Ports       []string
	HTTP, First int
	// Ready addresses; Pods that run, Sidecars among them, and their modes of mTLS.
	Ready          []string
	Pods, Sidecars int
	Modes          []string
	// Workloads are the labels of these pods, Policies those that select one.
	Workloads []labels.Set
	Policies  []*securityv1.AuthorizationPolicy
	// Rules are for its host, whoever they reach; ExportTo says which namespaces know it, all when
	// empty.
	Rules    []*networkingv1.DestinationRule
	ExportTo []string
}

// OwnKey names a service of the user's as one cluster sees it.
type OwnKey struct{ From, Host string }

// OwnView is what a proxy knows of it.
type OwnView struct {
	Problem string
	// In is the pod whose proxy was asked; Known says whether it has the service at all. Callers
	// are those of the topology that have a proxy in this cluster.
	In        string
	Callers   []string
	Known     bool
	Endpoints []Endpoint
	// Outlier detection as Envoy has it, "" for none.
	Outlier string
	// Call are the requests that the topology asks for.
	Call Call
}

// foreignNamespace says whether the Services of a namespace are no service of the user's.
func foreignNamespace(name, probes string) bool {
	return name == probes || name == topology.SystemNamespace || name == topology.MetalLBNamespace || strings.HasPrefix(name, "kube-")
}

// usersServices names the user's Services of a cluster, "web.shop". That of the API server is
// everywhere and nobody's.
func usersServices(list []corev1.Service, probes string) []string {
	var names []string
	for i := range list {
		s := &list[i]
		if !foreignNamespace(s.Namespace, probes) && (s.Namespace != "default" || s.Name != "kubernetes") {
			names = append(names, s.Name+"."+s.Namespace)
		}
	}
	slices.Sort(names)
	return names
}

// ports of a Service in a form that can be compared, "http 80/TCP"; sorted.
func ports(s *corev1.Service) []string {
	var all []string
	for _, p := range s.Spec.Ports {
		text := fmt.Sprintf("%s %d/%s", or(p.Name, "(unnamed)"), p.Port, or(string(p.Protocol), string(corev1.ProtocolTCP)))
		if p.AppProtocol != nil {
			text += " " + *p.AppProtocol
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// httpPort is the first port that HTTP is spoken on, by Istio's rules of naming; 0 without one.
func httpPort(s *corev1.Service) int {
	for _, p := range s.Spec.Ports {
		protocol, _, _ := strings.Cut(p.Name, "-")
		if p.AppProtocol != nil {
			protocol = *p.AppProtocol
		}
		if slices.Contains([]string{"http", "http2", "grpc", "kubernetes.io/h2c"}, strings.ToLower(protocol)) {
			return int(p.Port)
		}
	}
	return 0
}

// readyAddresses of a Service's endpoints.
func readyAddresses(list []discoveryv1.EndpointSlice) []string {
	var all []string
	for i := range list {
		for _, e := range list[i].Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				all = append(all, e.Addresses...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// targets are the ports of the pods behind a Service by its EndpointSlices.
func targets(list []discoveryv1.EndpointSlice) []int {
	var all []int
	for i := range list {
		for _, p := range list[i].Ports {
			if p.Port != nil && !slices.Contains(all, int(*p.Port)) {
				all = append(all, int(*p.Port))
			}
		}
	}
	slices.Sort(all)
	return all
}

// exportedTo reads the annotation by which a Service says which namespaces know it.
func exportedTo(s *corev1.Service) []string {
	var all []string
	for n := range strings.SplitSeq(s.Annotations[annotationExportTo], ",") {
		if n = strings.TrimSpace(n); n != "" {
			all = append(all, n)
		}
	}
	return all
}

// effective are the policies that select one of some workloads. Those of istio-system hold
// everywhere.
func effective(policies []*securityv1.AuthorizationPolicy, namespace string, workloads []labels.Set) []*securityv1.AuthorizationPolicy {
	return slices.DeleteFunc(slices.Clone(policies), func(p *securityv1.AuthorizationPolicy) bool {
		return !slices.ContainsFunc(workloads, func(w labels.Set) bool { return selects(p, namespace, w) })
	})
}

// policyTexts are policies in a form that can be compared, with what they hold: "ALLOW shop/web
// [...]"; sorted.
func policyTexts(policies []*securityv1.AuthorizationPolicy) []string {
	var all []string
	for _, p := range policies {
		// An ALLOW without rules is for nobody and one with an empty rule for everybody: as text both
		// are nothing, as JSON they are not.
		rules, err := json.Marshal(p.Spec.GetRules())
		if err != nil {
			rules = []byte(err.Error())
		}
		all = append(all, fmt.Sprintf("%s %s/%s %s", p.Spec.GetAction(), p.Namespace, p.Name, rules))
	}
	slices.Sort(all)
	return all
}

// policyNames are such texts without what they hold.
func policyNames(policies []string) string {
	var names []string
	for _, p := range policies {
		words := strings.SplitN(p, " ", 3)
		names = append(names, strings.Join(words[:min(2, len(words))], " "))
	}
	return or(several(names), "none")
}
