// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// ownAtOnce bounds the services of the user's that are asked about side by side.
const ownAtOnce = 4

// observeOwn reads the Services of every cluster, and those that the topology names with what
// belongs to them.
func (s *session) observeOwn(ctx context.Context) {
	gather(ctx, s, FactOwn, s.world.Clusters, func(ctx context.Context, m *member) Own { return m.ownServices(ctx) },
		func(w *World, all map[string]Own) { w.Own = all })
}

func (m *member) ownServices(ctx context.Context) Own {
	o := Own{Problem: m.blind(), Services: map[string]OwnService{}}
	if o.Problem != "" {
		return o
	}
	var services corev1.ServiceList
	if err := m.client.List(ctx, &services); err != nil {
		o.Problem = sentence(m.client.Explain(err, "listing Services"))
		return o
	}
	o.Names = usersServices(services.Items, m.namespace)
	named := m.mesh.Topology.Spec.Services
	if len(named) == 0 {
		return o
	}
	rules, err := m.rules(ctx)
	if err != nil {
		o.Problem = sentence(err)
		return o
	}
	for i := range named {
		one, err := m.ownService(ctx, named[i].Host, rules)
		if err != nil {
			one = OwnService{Problem: sentence(err)}
		}
		o.Services[named[i].Host] = one
	}
	return o
}

// istioRules are the Istio objects that hold for a cluster.
type istioRules struct {
	peers        securityv1.PeerAuthenticationList
	policies     securityv1.AuthorizationPolicyList
	destinations networkingv1.DestinationRuleList
}

func (m *member) rules(ctx context.Context) (*istioRules, error) {
	config := m.config()
	if config == nil {
		return nil, fmt.Errorf("there is no client for %s", m.mesh.Topology.Cluster(m.name).Config)
	}
	r := &istioRules{}
	for what, list := range map[string]client.ObjectList{
		"PeerAuthentications": &r.peers, "AuthorizationPolicies": &r.policies, "DestinationRules": &r.destinations,
	} {
		if err := config.List(ctx, list); err != nil {
			return nil, config.Explain(err, "listing "+what)
		}
	}
	return r, nil
}

func (m *member) ownService(ctx context.Context, host string, rules *istioRules) (OwnService, error) {
	o := OwnService{Rules: concerning(rules.destinations.Items, host)}
	name, namespace, _ := strings.Cut(host, ".")
	service := &corev1.Service{}
	err := m.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, service)
	if kube.Absent(err) {
		o.Absent = true
		return o, nil
	}
	if err != nil {
		return o, m.client.Explain(err, "reading Service "+host)
	}
	o.Ports, o.HTTP, o.ExportTo = ports(service), httpPort(service), exportedTo(service)
	if len(service.Spec.Ports) > 0 {
		o.First = int(service.Spec.Ports[0].Port)
	}
	var slicesOf discoveryv1.EndpointSliceList
	if err := m.client.List(ctx, &slicesOf, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: name}); err != nil {
		return o, m.client.Explain(err, "listing the endpoints of "+host)
	}
	o.Ready = readyAddresses(slicesOf.Items)
	if len(service.Spec.Selector) == 0 {
		return o, nil // what stands behind it is not known to be pods
	}
	pods, err := m.client.Pods(ctx, namespace, service.Spec.Selector)
	if err != nil {
		return o, m.client.Explain(err, "listing the pods of "+host)
	}
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning })
	o.Pods = len(pods)
	for i := range pods {
		o.Workloads = append(o.Workloads, pods[i].Labels)
		if proxied(&pods[i]) {
			o.Sidecars++
		}
		for _, port := range targets(slicesOf.Items) {
			if mode := mtlsMode(rules.peers.Items, namespace, pods[i].Labels, port); !slices.Contains(o.Modes, mode) {
				o.Modes = append(o.Modes, mode)
			}
		}
	}
	slices.Sort(o.Modes)
	o.Policies = effective(rules.policies.Items, namespace, o.Workloads)
	return o, nil
}

// observeCallers asks a proxy of each cluster what it knows of the user's services, and sends the
// requests that the topology asks for.
func (s *session) observeCallers(ctx context.Context) {
	if !s.want[FactCallers] {
		return
	}
	began := time.Now()
	var mu sync.Mutex
	all := map[OwnKey]OwnView{}
	var g errgroup.Group
	g.SetLimit(ownAtOnce)
	for _, c := range s.world.Clusters {
		for i := range s.mesh.Topology.Spec.Services {
			service := &s.mesh.Topology.Spec.Services[i]
			g.Go(func() error {
				v := s.members[c].caller(ctx, service)
				mu.Lock()
				defer mu.Unlock()
				all[OwnKey{c, service.Host}] = v
				return nil
			})
		}
	}
	_ = g.Wait() // each keeps its own problem
	s.record(FactCallers, began, func(w *World) { w.Callers = all })
}

func (m *member) caller(ctx context.Context, service *topology.Service) OwnView {
	var v OwnView
	port, known := m.ownPort(service.Host)
	if service.Probe != nil {
		v.Call = m.try(ctx, service, port)
	}
	pod, err := m.callerPod(ctx, service.Callers, &v)
	if err == nil {
		v.In = pod.Namespace + "/" + pod.Name
		err = m.knows(ctx, pod, service.Host, known, &v)
	}
	if err != nil {
		v.Problem = sentence(err)
	}
	return v
}

// ownPort is the HTTP port of a service in any cluster, and one that it has at all.
func (m *member) ownPort(host string) (web, one int) {
	own := look(m.session, func(w *World) map[string]Own { return w.Own })
	for _, c := range m.world.Clusters {
		s := own[c].Services[host]
		if web == 0 {
			web = s.HTTP
		}
		if one == 0 {
			one = s.First
		}
	}
	return web, cmp.Or(web, one)
}

// callerPod is a pod of the first caller that has one with a proxy here, else verify's own caller.
// It notes all callers that have one.
func (m *member) callerPod(ctx context.Context, callers []string, v *OwnView) (*corev1.Pod, error) {
	var first *corev1.Pod
	for _, caller := range callers {
		namespace, account, _ := strings.Cut(caller, "/")
		pods, err := m.client.Pods(ctx, namespace, nil)
		if err != nil {
			return nil, m.client.Explain(err, "listing the pods of "+caller)
		}
		i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Spec.ServiceAccountName == account && proxied(&p) })
		if i < 0 {
			continue
		}
		v.Callers = append(v.Callers, caller)
		if first == nil {
			first = &pods[i]
		}
	}
	if first != nil {
		return first, nil
	}
	if why := m.why(); why != "" {
		return nil, fmt.Errorf("%s", why)
	}
	if pod := m.pod(roleCaller); pod != nil {
		return pod, nil
	}
	return nil, fmt.Errorf("no proxy of %s could be asked", m.name)
}

// knows reads the endpoints and the outlier detection that a pod's Envoy has for a host.
func (m *member) knows(ctx context.Context, pod *corev1.Pod, host string, port int, v *OwnView) error {
	page, err := m.page(ctx, pod.Namespace, pod.Name, portEnvoy, pageClusters)
	if err != nil {
		return err
	}
	clusters, err := parseClusters(page)
	if err != nil {
		return err
	}
	name := outbound(port, host+clusterDomain)
	v.Endpoints, v.Known = endpointsOf(clusters, name)
	gateways, own := look(m.session, func(w *World) map[string]Gateway { return w.Gateways }), look(m.session, func(w *World) map[string]Own { return w.Own })
	for i := range v.Endpoints {
		m.placeOwn(&v.Endpoints[i], host, gateways, own)
	}
	page, err = m.page(ctx, pod.Namespace, pod.Name, portEnvoy, "/config_dump?resource=dynamic_active_clusters&name_regex="+url.QueryEscape("^"+regexp.QuoteMeta(name)+"$"))
	if err != nil {
		return err
	}
	v.Outlier, err = parseOutlier(page, name)
	return err
}

// placeOwn says whose address an endpoint of a user's service has.
func (m *member) placeOwn(e *Endpoint, host string, gateways map[string]Gateway, own map[string]Own) {
	for _, c := range m.world.Clusters {
		if slices.Contains(gateways[c].Addresses, e.Address) {
			e.Cluster, e.Gateway = c, true
			return
		}
		if !m.world.apart(m.name, c) && slices.Contains(own[c].Services[host].Ready, e.Address) {
			e.Cluster = c
			return
		}
	}
}

// parseOutlier reads the outlier detection of one of Envoy's clusters as JSON, "" for none. Istio
// gives every cluster an empty one where locality is on, which ejects nothing.
func parseOutlier(page []byte, name string) (string, error) {
	var doc struct {
		Configs []struct {
			Cluster struct {
				Name    string          `json:"name"`
				Outlier json.RawMessage `json:"outlier_detection"`
			} `json:"cluster"`
		} `json:"configs"`
	}
	if err := json.Unmarshal(page, &doc); err != nil {
		return "", fmt.Errorf("reading Envoy's configuration: %w", err)
	}
	for _, c := range doc.Configs {
		if text := string(c.Cluster.Outlier); c.Cluster.Name == name && text != "{}" && text != "null" {
			return text, nil
		}
	}
	return "", nil
}

// try sends the requests that the topology asks for, from verify's own caller.
func (m *member) try(ctx context.Context, service *topology.Service, port int) Call {
	c := Call{Problem: m.why()}
	if c.Problem == "" && port == 0 {
		c.Problem = "no port of it is named http, http2 or grpc"
	}
	if c.Problem != "" {
		return c
	}
	c.Target = fmt.Sprintf("http://%s%s:%d%s", service.Host, clusterDomain, port, service.Probe.Path)
	rep, err := ask[probe.RunReport](ctx, m, roleCaller, "POST", "/run", probe.RunRequest{
		URL: c.Target, Count: service.Probe.Requests, Duration: loadWithin, Timeout: patience,
	})
	c.Outcomes = rep.Outcomes
	if err != nil {
		c.Problem = sentence(err)
	}
	return c
}
