// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

// withoutSecrets makes everything fail that a passive verification does not do.
func (f *fakeMesh) withoutSecrets() {
	for _, k := range f.fakes {
		for _, verb := range []string{"get", "list"} {
			k.Fail(verb, "Secret", "", errors.New("a Secret was read"), 0)
		}
	}
}

func TestAPassiveRunWritesNothingAndReadsNoSecret(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	f.withoutSecrets()
	r, err := Run(t.Context(), f.mesh, Options{Access: Passive})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if c.Status != Pass {
			t.Errorf("%s: %s", c.Status, c.Line())
		}
	}
	if r.ExitCode() != ExitPass || r.Summary[Pass] < 20 || !slices.Equal(r.Suites, PassiveSuites()) {
		t.Errorf("exit code %d, %v, suites %v", r.ExitCode(), r.Summary, r.Suites)
	}
	for name, k := range f.fakes {
		if w := k.Writes(); len(w) > 0 {
			t.Errorf("written in %s: %v", name, w)
		}
	}
	if _, err := Run(t.Context(), f.mesh, Options{Access: Passive, Suites: []string{SuiteWeights}}); err == nil || !strings.Contains(err.Error(), "sends requests") {
		t.Errorf("a suite that needs probes: %v", err)
	}
}

func TestBrokenMeshesFailWithoutProbes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		breakIt func(t *testing.T, f *fakeMesh)
		want    string
	}{
		"another root":           {func(t *testing.T, f *fakeMesh) { f.add(t, "east", "west", testRoot(t)) }, "trust TRU001"},
		"gateway scaled to zero": {func(t *testing.T, f *fakeMesh) { remove(t, f.fakes["east"], running("gw-1", nil)) }, "discovery NET008"},
		"Gateway removed": {func(t *testing.T, f *fakeMesh) {
			remove(t, f.fakes["east"], &networkingv1.Gateway{ObjectMeta: system(topology.CrossNetworkGateway)})
		}, "discovery NET005"},
		"another trust domain": {func(_ *testing.T, f *fakeMesh) { f.mesh.Topology.Spec.Mesh.TrustDomain = "other.example" }, "trust TRU008"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			tc.breakIt(t, f)
			f.withoutSecrets()
			r, err := Run(t.Context(), f.mesh, Options{Access: Passive})
			if err != nil {
				t.Fatal(err)
			}
			if r.ExitCode() != ExitFail || !failures(r)[tc.want] {
				t.Errorf("exit code %d, failures %v, want %q", r.ExitCode(), failures(r), tc.want)
			}
		})
	}
}

func TestHeldCertificates(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		alter  func(t *testing.T, w *World)
		check  string
		status Status
		code   string
		says   string
	}{
		"one root":             {nil, "trust-held-root", Pass, "", "2 of 2 proxies"},
		"one signer":           {nil, "trust-held-signer", Pass, "", "east.intermediate"},
		"one trust domain":     {nil, "trust-held-identity", Pass, "", "cluster.local"},
		"valid":                {nil, "trust-held-lifetime", Pass, "", "first"},
		"no proxy":             {func(_ *testing.T, w *World) { w.Held["east"] = Held{} }, "trust-held-root", Inconclusive, "", "no proxy"},
		"not looked at":        {func(_ *testing.T, w *World) { delete(w.Held, "east") }, "trust-held-signer", Inconclusive, "", "not looked at"},
		"none could be read":   {func(_ *testing.T, w *World) { w.Held["east"] = Held{Total: 3, Unread: []string{"shop/web-1: refused"}} }, "trust-held-root", Inconclusive, "", "shop/web-1: refused"},
		"one proxy was older":  {oldSigner, "trust-held-signer", Warn, "TRU004", "1 of 2 proxies"},
		"another root in one":  {otherRoot, "trust-held-root", Fail, "TRU001", "1 of 2 proxies of east"},
		"an expired leaf":      {expiredLeaf, "trust-held-lifetime", Fail, "TRU006", "gw-1"},
		"expired, not trusted": {expiredLeaf, "trust-held-root", Fail, "TRU006", "expired"},
		"a leaf that is too long": {func(t *testing.T, w *World) { // of an intermediate that ends sooner
			s, key := testSigner(t, testRoot(t), "x")
			w.Held["east"].Proxies[0].Chain = []*x509.Certificate{leaf(t, s.Intermediate, key, func(c *x509.Certificate) { c.NotAfter = s.Intermediate.NotAfter.Add(time.Hour) }), s.Intermediate}
		}, "trust-held-lifetime", Warn, "TRU007", "outlives"},
		"a root that ends": {func(_ *testing.T, w *World) { w.Now = w.Held["east"].Proxies[0].Roots[0].NotAfter.Add(-time.Hour) }, "trust-held-lifetime", Fail, "TRU006", "valid from"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := healthy(t)
			if tc.alter != nil {
				tc.alter(t, w)
			}
			var got Result
			for _, c := range Checks() {
				if c.ID != tc.check {
					continue
				}
				for _, r := range c.run(w) {
					if r.To == "east" && (r.From == "" || r.From == "west") {
						got = r
					}
				}
			}
			if got.Status != tc.status || got.Code != tc.code || !strings.Contains(got.Message, tc.says) {
				t.Errorf("%s %s %q, want %s %s %q", got.Status, got.Code, got.Message, tc.status, tc.code, tc.says)
			}
		})
	}
}

func oldSigner(t *testing.T, w *World) {
	s, key := testSigner(t, testRoot(t), "east.earlier")
	w.Held["east"].Proxies[1].Chain = []*x509.Certificate{leaf(t, s.Intermediate, key, nil), s.Intermediate}
}

func otherRoot(t *testing.T, w *World) { oldSigner(t, w) }

func expiredLeaf(t *testing.T, w *World) {
	h := &w.Held["east"].Proxies[0]
	root := testRoot(t)
	s, key := testSigner(t, root, "east.intermediate")
	h.Chain = []*x509.Certificate{leaf(t, s.Intermediate, key, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}), s.Intermediate}
}

func TestReach(t *testing.T) {
	t.Parallel()
	web, db := "web.shop.svc.cluster.local", "db.shop.svc.cluster.local"
	for name, tc := range map[string]struct {
		reach  Reach
		alter  func(w *World)
		status Status
		code   string
	}{
		"reached":            {Reach{Proxies: 3, Backed: map[string][]string{"east": {db, web}}, Reached: map[string][]string{"east": {web}}}, nil, Pass, ""},
		"none is":            {Reach{Proxies: 3, Backed: map[string][]string{"east": {web}}}, nil, Fail, "NET003"},
		"no gateway address": {Reach{Proxies: 3, Backed: map[string][]string{"east": {web}}}, func(w *World) { w.Gateways["east"] = Gateway{} }, Fail, "NET001"},
		"only a hostname": {Reach{Proxies: 3, Backed: map[string][]string{"east": {web}}}, func(w *World) {
			g := w.Gateways["east"]
			g.Addresses, g.Hostnames = nil, []string{"lb.example"}
			w.Gateways["east"] = g
		}, Inconclusive, ""},
		"nothing to reach":                     {Reach{Proxies: 3}, nil, Skip, ""},
		"no proxy":                             {Reach{}, nil, Skip, ""},
		"none could be read":                   {Reach{Total: 3}, nil, Inconclusive, ""},
		"the other one could not be looked at": {Reach{Proxies: 3, Total: 3, Unseen: map[string]string{"east": "listing pods: forbidden"}}, nil, Inconclusive, ""},
		"not looked at":                        {Reach{Problem: "forbidden"}, nil, Inconclusive, ""},
	} {
		w, _ := healthy(t)
		w.Reach = map[string]Reach{"west": tc.reach}
		if tc.alter != nil {
			tc.alter(w)
		}
		for _, r := range judgeReach(w) {
			if r.From == "west" && (r.Status != tc.status || r.Code != tc.code) {
				t.Errorf("%s: %s %s %q, want %s %s", name, r.Status, r.Code, r.Message, tc.status, tc.code)
			}
		}
	}
}

// TestAPeerThatCanNotBeReadIsNotOneWithoutServices: nothing is known of it.
func TestAPeerThatCanNotBeReadIsNotOneWithoutServices(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	f.fakes["east"].Fail("list", "ServiceList", "", forbidden(), 0)
	r, err := Run(t.Context(), f.mesh, Options{Access: Passive, Suites: []string{SuiteDiscovery}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if c.ID == "discovery-reach" && (c.Status != Inconclusive || !strings.Contains(c.Message, "forbidden")) {
			t.Errorf("%s: %s", c.Status, c.Line())
		}
	}
}

func TestSampleIsSpreadOut(t *testing.T) {
	t.Parallel()
	if got := sample(3, 20); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("all of three: %v", got)
	}
	if got := sample(100, 4); !slices.Equal(got, []int{0, 25, 50, 75}) {
		t.Errorf("four of a hundred: %v", got)
	}
}

// TestAsManyProxiesAreAskedAsTheFileSays, by whatever command.
func TestAsManyProxiesAreAskedAsTheFileSays(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	m.Topology.Spec.Verify.Proxies = 2
	fakes["west"].Forwards(t, nil) // no pod answers: it is asked all the same
	of := census{}
	for _, name := range []string{"a", "b", "c"} {
		pod := running(name, nil)
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "istio-proxy"})
		of.pods = append(of.pods, *pod)
	}
	got, _ := member1(t, m, SuiteDiscovery).scan(t.Context(), of, nil)
	if asked := got.views.Proxies + len(got.views.Unread); asked != 2 || got.views.Total != 3 {
		t.Errorf("%d of %d were asked", asked, got.views.Total)
	}
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	chain, roots, err := parseSecrets(recorded(t, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(chain) != 4 || len(roots) != 1 || chain[0].URIs[0].String() != "spiffe://cluster.local/ns/istio-system/sa/istio-eastwestgateway" {
		t.Errorf("%d in the chain, %d roots, %v", len(chain), len(roots), chain[0].URIs)
	}
	if certs.Fingerprint(chain[2]) != certs.Fingerprint(roots[0]) {
		t.Error("the chain does not end at the root")
	}
	for _, page := range []string{"", "{}", "[]", `{"configs":[{"name":"default","secret":{"tls_certificate":{"certificate_chain":{"inline_bytes":"eA=="}}}}]}`} {
		if _, _, err := parseSecrets([]byte(page)); err == nil {
			t.Errorf("%q was taken for certificates", page)
		}
	}
}
