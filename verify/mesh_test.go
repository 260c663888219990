// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	securityapi "istio.io/api/security/v1beta1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// fakeMesh is a mesh of two clusters in memory: API objects, istiod's and Envoy's pages, and
// probes that answer as a healthy mesh would make them.
type fakeMesh struct {
	mesh  Mesh
	fakes map[string]*kubetest.Cluster
	chain map[string]string // what each cluster's workloads serve
	asked sync.Map          // paths that callers have asked for
	// alter, if set, may change how a request of a probe ends, or a look at a certificate, which
	// has no URL.
	alter func(c string, r role, q probe.RunRequest, healthy []probe.Outcome) []probe.Outcome

	mu    sync.Mutex
	rates []probe.RunRequest // the steady loads that were asked for
}

func (f *fakeMesh) noteRate(q probe.RunRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rates = append(f.rates, q)
}

func newFakeMesh(t *testing.T) *fakeMesh {
	t.Helper()
	f := &fakeMesh{mesh: Mesh{Topology: testTopology(), Clients: map[string]*kube.Client{}, ProbeImage: "p", Owner: "o1"},
		fakes: map[string]*kubetest.Cluster{}, chain: map[string]string{}}
	root := testRoot(t)
	for i, c := range []string{"west", "east"} {
		f.add(t, c, []string{"east", "west"}[i], root)
	}
	f.mesh.Topology.Spec.Services = []topology.Service{{Host: "web.shop", Failover: true, Callers: []string{"shop/caller"}, Probe: &topology.ServiceProbe{Path: "/", Requests: 10}}}
	f.mesh.Outside = []Outside{outsider(OutsideHost, nil)}
	return f
}

func (f *fakeMesh) add(t *testing.T, c, peer string, root *certs.Root) {
	t.Helper()
	ca, err := root.NewCACerts(certs.Options{CommonName: c + ".intermediate", Organization: "usmesh", Algorithm: "ECDSA-P256", Lifetime: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := ca.Intermediate()
	if err != nil {
		t.Fatal(err)
	}
	own := leaf(t, intermediate, testKey(t, ca.CAKey), nil)
	f.chain[c] = string(certs.EncodeCertificates(own, intermediate))
	istiod := running("istiod-1", map[string]string{"app": "istiod"})
	istiod.Spec.Containers = []corev1.Container{{Name: "discovery", Image: "localhost:5000/istio/pilot:1.31.0"}}
	objs := []client.Object{
		&corev1.Secret{ObjectMeta: system(topology.CACertsSecret), Data: ca.Data()}, istiod, running("gw-1", map[string]string{"istio": topology.EastWestSelector}),
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: c, Labels: map[string]string{topology.LabelRegion: "us-" + c, topology.LabelZone: "us-" + c + "-1"}}},
		&corev1.Service{ObjectMeta: system(topology.EastWestGateway), Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{
			Ingress: []corev1.LoadBalancerIngress{{IP: gatewayAddress(c)}}}}},
		&networkingv1.Gateway{ObjectMeta: system(topology.CrossNetworkGateway), Spec: networkingapi.Gateway{
			Selector: map[string]string{"istio": topology.EastWestSelector}, Servers: []*networkingapi.Server{{
				Port: &networkingapi.Port{Number: 15443}, Tls: &networkingapi.ServerTLSSettings{Mode: networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH}}}}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "istio-remote-secret-" + peer,
			Labels: map[string]string{topology.LabelMultiCluster: "true"}}, Data: map[string][]byte{peer: nil}},
	}
	objs = append(objs, webShop(c)...)
	for _, ns := range []string{topology.SystemNamespace, testNamespace} {
		objs = append(objs, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: topology.RootCertConfigMap},
			Data: map[string]string{"root-cert.pem": string(ca.RootCert)}})
	}
	k := kubetest.New(t, c, objs...)
	held := secretsPage(f.chain[c], string(ca.RootCert))
	handlers := map[string]http.Handler{
		"istio-system/istiod-1:15014": text(fmt.Sprintf(`[{"id":%q,"syncStatus":"synced"},{"id":%q,"secretName":"istio-system/istio-remote-secret-%s","syncStatus":"synced"}]`, c, peer, peer)),
		"istio-system/gw-1:15000":     envoyPages(gatewayPages(c), held),
		"shop/web-1:15000":            envoyPages(proxyPages(f.mesh.Topology, c, peer), held),
	}
	for _, r := range []role{roleCaller, roleStranger, roleEcho, roleOutsider} {
		handlers[fmt.Sprintf("%s/%s:15000", testNamespace, r)] = envoyPages(proxyPages(f.mesh.Topology, c, peer), held)
		handlers[fmt.Sprintf("%s/%s:8090", testNamespace, r)] = f.admin(c, r)
	}
	k.Forwards(t, handlers)
	k.Admit(inject)
	f.fakes[c], f.mesh.Clients[c] = k, k.Client
	go kubelet(t.Context(), k, c)
}

// webShop is a service of the user's own, in both clusters.
func webShop(c string) []client.Object {
	at, name, port := webAddress(c), "http", int32(8080)
	pod := running("web-1", map[string]string{"app": "web"})
	pod.Namespace, pod.Status.PodIP = "shop", at
	pod.Spec.Containers = []corev1.Container{{Name: "istio-proxy"}}
	return []client.Object{pod, policyOf(topology.SystemNamespace, "default", 1, nil, securityapi.PeerAuthentication_MutualTLS_STRICT, nil),
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.9", Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}}},
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-x", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{at}}}, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}}},
	}
}

func webAddress(c string) string {
	return map[string]string{"west": "10.10.0.80", "east": "10.20.0.80"}[c]
}

const webHost = "web.shop.svc.cluster.local"

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) })
}

func podAddress(cluster string, r role) string {
	return map[string]string{"west": "10.10.0.", "east": "10.20.0."}[cluster] + map[role]string{roleCaller: "1", roleStranger: "2", roleEcho: "3", roleOutsider: "4"}[r]
}

// inject is what istiod's webhook does.
func inject(obj client.Object) error {
	if pod, ok := obj.(*corev1.Pod); ok && pod.Labels["sidecar.istio.io/inject"] == "true" {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "istio-proxy"})
	}
	return nil
}

// kubelet makes pods ready as they come.
func kubelet(ctx context.Context, c *kubetest.Cluster, cluster string) {
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		var pods corev1.PodList
		if c.List(ctx, &pods, client.InNamespace(testNamespace)) != nil {
			continue
		}
		for _, pod := range pods.Items {
			if pod.Status.PodIP != "" {
				continue
			}
			r := role(pod.Labels[labelRole])
			pod.UID = types.UID(cluster + "-" + string(r))
			if err := c.Update(ctx, &pod); err != nil {
				continue // a newer one comes with the next round
			}
			pod.Status = running("", nil).Status
			pod.Status.PodIP = podAddress(cluster, r)
			_ = c.Status().Update(ctx, &pod)
		}
	}
}

// clustersPage is Envoy's page of clusters with the given endpoints.
func clustersPage(clusters map[string][]Endpoint) string {
	var all []string
	for _, name := range sortedKeys(clusters) {
		var hosts []string
		for _, e := range clusters[name] {
			hosts = append(hosts, fmt.Sprintf(`{"address":{"socket_address":{"address":%q,"port_value":%d}},"health_status":{"eds_health_status":"HEALTHY"},"weight":%d,"priority":%d,"stats":[{"name":"rq_success","value":"5"}]}`,
				e.Address, e.Port, e.Weight, e.Priority))
		}
		all = append(all, fmt.Sprintf(`{"name":%q,"host_statuses":[%s]}`, name, strings.Join(hosts, ",")))
	}
	return `{"cluster_statuses":[` + strings.Join(all, ",") + `]}`
}

func gatewayPages(c string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/listeners" {
			_, _ = w.Write([]byte(`{"listener_statuses":[{"local_address":{"socket_address":{"port_value":15443}}}]}`))
			return
		}
		_, _ = w.Write([]byte(clustersPage(map[string][]Endpoint{
			sni(8080, host(testNamespace, serviceEven)): {{Address: podAddress(c, roleEcho), Port: 8080, Weight: 1}},
			sni(80, webHost): {{Address: webAddress(c), Port: 8080, Weight: 1}}})))
	})
}

// proxyPages are what the Envoys of one cluster know: own pods, and the peer's gateway.
func proxyPages(t *topology.Topology, c, peer string) http.Handler {
	clusters := map[string][]Endpoint{}
	for _, s := range services(t, t.Names(), Suites(), false) {
		var all []Endpoint
		for _, r := range s.Backends[c] {
			all = append(all, Endpoint{Address: podAddress(c, r), Port: 8080, Weight: 1})
		}
		if n := len(s.Backends[peer]); n > 0 {
			e := Endpoint{Address: gatewayAddress(peer), Port: 15443, Weight: n}
			if s.Policy.Locality {
				e.Priority = 1
			}
			all = append(all, e)
		}
		clusters[outbound(8080, host(testNamespace, s.Name))] = all
	}
	clusters[outbound(80, webHost)] = []Endpoint{{Address: webAddress(c), Port: 8080, Weight: 1}, {Address: gatewayAddress(peer), Port: 15443, Weight: 1, Priority: 1}}
	page := clustersPage(clusters)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config_dump" {
			_, _ = fmt.Fprintf(w, `{"configs":[{"cluster":{"name":%q,"outlier_detection":{"consecutive_5xx":5}}}]}`, outbound(80, webHost))
			return
		}
		_, _ = w.Write([]byte(page))
	})
}

// secretsPage is Envoy's page of certificates.
func secretsPage(chain, roots string) string {
	return fmt.Sprintf(`{"configs":[{"name":"default","secret":{"tls_certificate":{"certificate_chain":{"inline_bytes":%q},"private_key":{"inline_bytes":"W3JlZGFjdGVkXQ=="}}}},`+
		`{"name":"ROOTCA","secret":{"validation_context":{"trusted_ca":{"inline_bytes":%q}}}}]}`,
		base64.StdEncoding.EncodeToString([]byte(chain)), base64.StdEncoding.EncodeToString([]byte(roots)))
}

// envoyPages adds the page of certificates to others.
func envoyPages(others http.Handler, held string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config_dump" && !strings.Contains(r.URL.RawQuery, "resource=dynamic_active_clusters") {
			_, _ = w.Write([]byte(held))
			return
		}
		others.ServeHTTP(w, r)
	})
}

// admin answers for one probe as a healthy mesh would let it see things.
func (f *fakeMesh) admin(c string, r role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/knock":
			var q probe.KnockRequest
			_ = json.NewDecoder(req.Body).Decode(&q)
			_ = json.NewEncoder(w).Encode(knocked(q))
			return
		case "/lookup":
			_ = json.NewEncoder(w).Encode(probe.Lookup{Addresses: []string{"10.100.0.9"}})
			return
		case "/counted":
			// A path that the caller asked for is one that it was answered at.
			var q probe.Counted
			_ = json.NewDecoder(req.Body).Decode(&q)
			if _, asked := f.asked.Load(q.Path); asked {
				q.Count = callRequests
			}
			_ = json.NewEncoder(w).Encode(q)
			return
		case "/tls":
			var q probe.TLSRequest
			_ = json.NewDecoder(req.Body).Decode(&q)
			if f.alter != nil {
				if o := f.alter(c, r, probe.RunRequest{Count: 1}, nil); len(o) > 0 {
					_ = json.NewEncoder(w).Encode(probe.TLSReport{Error: o[0].Error})
					return
				}
			}
			_ = json.NewEncoder(w).Encode(probe.TLSReport{Chain: f.chain[strings.Split(strings.SplitAfter(q.SNI, "echo-")[1], ".")[0]], Error: probe.ErrTLSAlert})
			return
		}
		var q probe.RunRequest
		_ = json.NewDecoder(req.Body).Decode(&q)
		if u, err := url.Parse(q.URL); err == nil && r == roleCaller {
			f.asked.Store(u.Path, true)
		}
		if q.Rate > 0 {
			f.noteRate(q)
		}
		if strings.HasPrefix(req.URL.Path, "/runs/") { // what a steady load has seen so far
			q.URL, q.Count = address(host(testNamespace, serviceEven), pathOpen), 4
		}
		_ = json.NewEncoder(w).Encode(probe.RunReport{ID: "1", Done: true, Sent: q.Count, Outcomes: f.outcomes(c, r, q)})
	})
}

// knocked is how a healthy mesh refuses.
func knocked(q probe.KnockRequest) probe.KnockReport {
	if !q.TLS || strings.Contains(q.SNI, nobody) {
		return probe.KnockReport{Outcome: probe.Outcome{Error: probe.ErrReset, Count: 1}}
	}
	return probe.KnockReport{Outcome: probe.Outcome{Error: probe.ErrTLSAlert, Detail: "remote error: tls: bad certificate", Count: 1},
		Served: "spiffe://cluster.local/ns/" + testNamespace + "/sa/echo"}
}

func (f *fakeMesh) outcomes(c string, r role, q probe.RunRequest) []probe.Outcome {
	if f.alter == nil {
		return outcomes(c, r, q)
	}
	return f.alter(c, r, q, outcomes(c, r, q))
}

func outcomes(c string, r role, q probe.RunRequest) []probe.Outcome {
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil
	}
	by := func(cluster string, n int) probe.Outcome {
		return probe.Outcome{Pod: "echo", UID: cluster + "-echo", Status: 200, Count: n}
	}
	service := strings.Split(or(q.Host, u.Hostname()), ".")[0]
	other := map[string]string{"west": "east", "east": "west"}[c]
	switch {
	case r == roleOutsider && u.Port() == "8080":
		return []probe.Outcome{{Error: probe.ErrReset, Count: q.Count}}
	case r == roleOutsider && u.Port() == "8081":
		return []probe.Outcome{by(c, q.Count)}
	case r == roleStranger, u.Path == pathIngress && r == roleCaller:
		return []probe.Outcome{{Status: 403, Detail: "RBAC: access denied", Count: q.Count}}
	case strings.HasPrefix(service, "alone-"):
		return []probe.Outcome{by(strings.TrimPrefix(service, "alone-"), q.Count)}
	case strings.HasPrefix(service, "echo-"):
		return []probe.Outcome{by(strings.TrimPrefix(service, "echo-"), q.Count)}
	case service == serviceLocal:
		return []probe.Outcome{by(c, q.Count)}
	case service == serviceHeavy(c):
		return []probe.Outcome{by(c, q.Count*3/4), by(other, q.Count/4)}
	case service == serviceHeavy(other):
		return []probe.Outcome{by(c, q.Count/4), by(other, q.Count*3/4)}
	}
	return []probe.Outcome{by(c, q.Count/2), by(other, q.Count/2)}
}

func failures(r *Report) map[string]bool {
	codes := map[string]bool{}
	for _, c := range r.Checks {
		if c.Status == Fail {
			codes[c.Suite+" "+c.Code] = true
		}
	}
	return codes
}

func TestAWholeRunOverAHealthyMesh(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	r, err := Run(t.Context(), f.mesh, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if c.Status != Pass {
			t.Errorf("%s: %s", c.Status, c.Line())
		}
	}
	if r.Requests == nil || r.Requests.Probes < 1000 || len(r.Requests.API) != 2 {
		t.Errorf("requests: %+v", r.Requests)
	}
	if r.ExitCode() != ExitPass || r.Summary[Pass] < 60 {
		t.Errorf("exit code %d, %v", r.ExitCode(), r.Summary)
	}
	for name, k := range f.fakes {
		if exists(t, k) {
			t.Errorf("the namespace stayed in %s", name)
		}
	}
	for i, want := range []string{"east", "west"} { // peers
		facts := r.Facts[i]
		if facts.Root == nil || facts.Intermediate == nil || facts.Leaf == nil || facts.Root.Fingerprint != r.Facts[0].Root.Fingerprint ||
			len(facts.Istiod) != 1 || facts.Istiod[0] != "1.31.0" || len(facts.RemoteSecrets) != 1 || facts.RemoteSecrets[0].Peer != want {
			t.Errorf("facts %+v", facts)
		}
	}
}

func TestBrokenMeshesFailWithTheRightCode(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		breakIt func(t *testing.T, f *fakeMesh)
		suites  []string
		want    string
	}{
		"remote secret removed": {func(t *testing.T, f *fakeMesh) {
			remove(t, f.fakes["west"], &corev1.Secret{ObjectMeta: system("istio-remote-secret-east")})
		}, []string{SuiteDiscovery}, "discovery FED001"},
		"gateway scaled to zero": {func(t *testing.T, f *fakeMesh) { remove(t, f.fakes["east"], running("gw-1", nil)) }, []string{SuiteDiscovery}, "discovery NET008"},
		"Gateway removed": {func(t *testing.T, f *fakeMesh) {
			remove(t, f.fakes["east"], &networkingv1.Gateway{ObjectMeta: system(topology.CrossNetworkGateway)})
		}, []string{SuiteDiscovery}, "discovery NET005"},
		"another root": {func(t *testing.T, f *fakeMesh) { f.add(t, "east", "west", testRoot(t)) }, []string{SuiteTrust}, "trust TRU001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			tc.breakIt(t, f)
			r, err := Run(t.Context(), f.mesh, Options{Suites: tc.suites, within: soon})
			if err != nil {
				t.Fatal(err)
			}
			if r.ExitCode() != ExitFail || !failures(r)[tc.want] {
				t.Errorf("exit code %d, failures %v, want %q", r.ExitCode(), failures(r), tc.want)
			}
		})
	}
}

func remove(t *testing.T, c *kubetest.Cluster, obj client.Object) {
	t.Helper()
	if err := c.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}
