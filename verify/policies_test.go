// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	securityapi "istio.io/api/security/v1beta1"
	typeapi "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// soon is when a call that does not pass is given up.
const soon = 500 * time.Millisecond

// rejecting admits as a cluster does in which somebody says no to pods that are injected.
func rejecting(err error) func(client.Object) error {
	return func(obj client.Object) error {
		pod, ok := obj.(*corev1.Pod)
		if ok && pod.Labels["sidecar.istio.io/inject"] == "true" {
			return err
		}
		return nil
	}
}

func podSecurity() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "echo", errors.New(
		`violates PodSecurity "restricted:latest": unrestricted capabilities (container "istio-init" must not include "NET_ADMIN", "NET_RAW" in securityContext.capabilities.add)`))
}

// webhook is the answer of a webhook that gives no reason: a status of 400.
func webhook() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusBadRequest,
		Message: `admission webhook "validate.kyverno.svc" denied the request: images must come from registry.corp`}}
}

func everywhere(f *fakeMesh, do func(name string)) {
	for name := range f.fakes {
		do(name)
	}
}

// rootPolicy puts an AuthorizationPolicy into the root namespace.
func rootPolicy(t *testing.T, f *fakeMesh, action securityapi.AuthorizationPolicy_Action, selector map[string]string) {
	t.Helper()
	for _, k := range f.fakes {
		p := &securityv1.AuthorizationPolicy{ObjectMeta: system("corp-guard"), Spec: securityapi.AuthorizationPolicy{Action: action}}
		if selector != nil {
			p.Spec.Selector = &typeapi.WorkloadSelector{MatchLabels: selector}
		}
		if err := k.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
}

// ended are requests that all ended alike.
func ended(o probe.Outcome, q probe.RunRequest) []probe.Outcome {
	o.Count = q.Count
	return []probe.Outcome{o}
}

// across says whether a request leaves its cluster, as far as its address tells.
func across(c string, q probe.RunRequest) bool {
	u, err := url.Parse(q.URL)
	name := strings.Split(or(q.Host, u.Hostname()), ".")[0]
	return err == nil && strings.HasPrefix(name, "echo-") && name != "echo-"+c
}

var (
	denied403 = probe.Outcome{Status: http.StatusForbidden, Detail: "RBAC: access denied"}
	noAnswer  = probe.Outcome{Status: http.StatusServiceUnavailable, Detail: "upstream connect error or disconnect/reset before headers. reset reason: connection timeout"}
	noTLS     = probe.Outcome{Status: http.StatusServiceUnavailable, Detail: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: TLS_error:CERTIFICATE_VERIFY_FAILED"}
)

// foreign is every request but those that only answer where nobody is in the way.
func foreign(o probe.Outcome) func(string, role, probe.RunRequest, []probe.Outcome) []probe.Outcome {
	return func(_ string, _ role, q probe.RunRequest, _ []probe.Outcome) []probe.Outcome { return ended(o, q) }
}

// TestPoliciesOfOthersAreNoBrokenMesh: what policies keep the probes from proving is inconclusive
// in the words of who rejected it, and nothing fails.
func TestPoliciesOfOthersAreNoBrokenMesh(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hostile func(t *testing.T, f *fakeMesh)
		// words that each inconclusive result of these suites has; results that pass without.
		suites []string
		words  []string
	}{
		"restricted Pod Security": {func(_ *testing.T, f *fakeMesh) {
			everywhere(f, func(name string) { f.fakes[name].Admit(rejecting(podSecurity())) })
		}, []string{SuiteTrust, SuiteDiscovery, SuiteWeights, SuiteAuthorization}, []string{`violates PodSecurity "restricted:latest"`, "CNI plugin"}},
		"restricted Pod Security in one cluster": {func(_ *testing.T, f *fakeMesh) { f.fakes["east"].Admit(rejecting(podSecurity())) },
			[]string{SuiteTrust, SuiteDiscovery, SuiteWeights, SuiteAuthorization}, []string{`violates PodSecurity "restricted:latest"`}},
		"a webhook": {func(_ *testing.T, f *fakeMesh) {
			everywhere(f, func(name string) { f.fakes[name].Admit(rejecting(webhook())) })
		}, []string{SuiteDiscovery, SuiteWeights}, []string{"images must come from registry.corp", "exempt namespace meshfed-verify"}},
		"no sidecar": {func(t *testing.T, f *fakeMesh) {
			everywhere(f, func(name string) {
				f.fakes[name].Admit(nil)
				for _, hook := range []map[string]string{{topology.LabelRevision: "canary"}, {topology.LabelRevision: "canary", "istio.io/tag": "prod"}} {
					c := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "hook" + hook["istio.io/tag"], Labels: hook}}
					c.Labels["app"] = "sidecar-injector"
					if err := f.fakes[name].Create(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
			})
		}, []string{SuiteDiscovery, SuiteWeights}, []string{"no sidecar was injected", "istio-injection=enabled", "revision canary, tag prod of revision canary", "spec.istio.revision"}},
		"a NetworkPolicy that drops everything": {func(t *testing.T, f *fakeMesh) {
			everywhere(f, func(name string) {
				if err := f.fakes[name].Create(t.Context(), &policyv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "default-deny"}}); err != nil {
					t.Fatal(err)
				}
			})
			f.alter = foreign(noAnswer)
		}, []string{SuiteDiscovery, SuiteWeights, SuiteLocality, SuiteAuthorization}, []string{"requests do not even arrive within", "NetworkPolicy default-deny"}},
		"a root policy that denies": {func(t *testing.T, f *fakeMesh) {
			rootPolicy(t, f, securityapi.AuthorizationPolicy_DENY, nil)
			f.alter = foreign(denied403)
		}, []string{SuiteDiscovery, SuiteWeights, SuiteLocality, SuiteAuthorization}, []string{"requests are denied even within", "AuthorizationPolicy istio-system/corp-guard (DENY)"}},
		"a root policy that allows nothing at the ingress gateway": {func(t *testing.T, f *fakeMesh) {
			rootPolicy(t, f, securityapi.AuthorizationPolicy_ALLOW, map[string]string{"istio": topology.IngressSelector})
			f.alter = func(_ string, _ role, q probe.RunRequest, healthy []probe.Outcome) []probe.Outcome {
				if q.Host != "" {
					return ended(denied403, q)
				}
				return healthy
			}
			f.mesh.Outside = []Outside{outsider(OutsideHost, func(gateway, _, _ string, a OutsideAnswer) (OutsideAnswer, error) {
				if gateway != "" {
					a.Status, a.Body = http.StatusForbidden, []byte("RBAC: access denied")
				}
				return a, nil
			})}
		}, nil, []string{"istio-system/corp-guard (allows nothing)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			tc.hostile(t, f)
			r, err := Run(t.Context(), f.mesh, Options{within: soon})
			if err != nil {
				t.Fatal(err)
			}
			if r.ExitCode() != ExitInconclusive || r.Summary[Pass] == 0 {
				t.Errorf("exit code %d, %v", r.ExitCode(), r.Summary)
			}
			said := map[string]bool{}
			for _, c := range r.Checks {
				if c.Status == Fail {
					t.Errorf("a false failure: %s", c.Line())
				}
				if c.Status == Inconclusive && !slices.ContainsFunc(tc.words, func(w string) bool { return !strings.Contains(c.Message, w) }) {
					said[c.Suite] = true
				}
			}
			for _, suite := range append(tc.suites, SuiteAuthorization) {
				if !said[suite] {
					t.Errorf("no result of %s is inconclusive with %q:", suite, tc.words)
					for _, c := range r.Checks {
						if c.Suite == suite && c.Status != Pass {
							t.Log(c.Line())
						}
					}
				}
			}
			for name, k := range f.fakes {
				if exists(t, k) {
					t.Errorf("the namespace stayed in %s", name)
				}
			}
		})
	}
}

// TestABrokenMeshFailsUnderPoliciesToo are the negative controls: under the same policies a mesh
// that is broken fails with its code where that can be told.
func TestABrokenMeshFailsUnderPoliciesToo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		broken func(t *testing.T, f *fakeMesh)
		want   string
	}{
		"restricted Pod Security, and another root": {func(t *testing.T, f *fakeMesh) {
			f.add(t, "east", "west", testRoot(t))
			everywhere(f, func(name string) { f.fakes[name].Admit(rejecting(podSecurity())) })
		}, "trust TRU001"},
		"everything is dropped, and there is no remote secret": {func(t *testing.T, f *fakeMesh) {
			remove(t, f.fakes["west"], &corev1.Secret{ObjectMeta: system("istio-remote-secret-east")})
			f.alter = foreign(noAnswer)
		}, "discovery FED001"},
		"only what goes to another cluster is dropped": {func(_ *testing.T, f *fakeMesh) {
			f.alter = func(c string, _ role, q probe.RunRequest, healthy []probe.Outcome) []probe.Outcome {
				if across(c, q) {
					return ended(noAnswer, q)
				}
				return healthy
			}
		}, "authorization NET008"},
		"only what comes from another cluster is denied": {func(_ *testing.T, f *fakeMesh) {
			f.alter = func(c string, _ role, q probe.RunRequest, healthy []probe.Outcome) []probe.Outcome {
				if across(c, q) {
					return ended(denied403, q)
				}
				return healthy
			}
		}, "authorization AUZ001"},
		"the workload denies the ingress gateway what it denies nobody else": {func(_ *testing.T, f *fakeMesh) {
			f.alter = func(_ string, _ role, q probe.RunRequest, healthy []probe.Outcome) []probe.Outcome {
				if q.Host != "" && strings.HasSuffix(q.URL, pathIngress) {
					return ended(denied403, q)
				}
				return healthy
			}
		}, "authorization AUZ001"},
		"TLS does not come about, within clusters either": {func(_ *testing.T, f *fakeMesh) { f.alter = foreign(noTLS) }, "discovery NET008"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			tc.broken(t, f)
			r, err := Run(t.Context(), f.mesh, Options{Suites: []string{SuiteTrust, SuiteDiscovery, SuiteAuthorization}, within: soon})
			if err != nil {
				t.Fatal(err)
			}
			if r.ExitCode() != ExitFail || !failures(r)[tc.want] {
				t.Errorf("exit code %d, failures %v, want %q", r.ExitCode(), failures(r), tc.want)
			}
		})
	}
}

// TestANoOfAPolicyIsNotAskedForAgain: a rejection that stays one does not use up the time that a
// webhook gets to come up.
func TestANoOfAPolicyIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, no := range map[string]error{
		"Pod Security": podSecurity(), "webhook": webhook(), "quota": forbidden(),
		"ValidatingAdmissionPolicy": apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "echo", nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fakes := twoClusters(t)
			fakes["west"].Admit(rejecting(no))
			if err := member1(t, m, SuiteTrust).launch(t.Context(), roleEcho); err == nil {
				t.Fatal("it was not rejected")
			}
			tries := slices.DeleteFunc(fakes["west"].Writes(), func(s string) bool { return s != fmt.Sprintf("create Pod %s/echo", testNamespace) })
			if len(tries) != 1 {
				t.Errorf("%d tries", len(tries))
			}
		})
	}
}

// TestWhatOpensTheProbesMayBeRejected: who may not write the rules that let the probes be called
// in a mesh that denies by default is told so only where that mattered.
func TestWhatOpensTheProbesMayBeRejected(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		alter func(string, role, probe.RunRequest, []probe.Outcome) []probe.Outcome
		exit  int
	}{
		"nothing is denied": {nil, ExitPass},
		"all is denied":     {foreign(noAnswer), ExitInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			f.alter = tc.alter
			everywhere(f, func(name string) {
				f.fakes[name].Fail("apply", "NetworkPolicy", "", apierrors.NewForbidden(schema.GroupResource{Resource: "networkpolicies"}, "open", errors.New("not for you")), 0)
			})
			r, err := Run(t.Context(), f.mesh, Options{Suites: []string{SuiteDiscovery}, within: soon})
			if err != nil {
				t.Fatal(err)
			}
			told := slices.ContainsFunc(r.Checks, func(c Result) bool { return strings.Contains(c.Message, "not for you") })
			if r.ExitCode() != tc.exit || told != (tc.exit == ExitInconclusive) {
				t.Errorf("exit code %d, told %v", r.ExitCode(), told)
			}
		})
	}
}
