// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// twoClusters are empty but for the root that istiod would give the probe's namespace.
func twoClusters(t *testing.T, objs ...client.Object) (Mesh, map[string]*kubetest.Cluster) {
	t.Helper()
	top := testTopology()
	m := Mesh{Topology: top, Clients: map[string]*kube.Client{}, ProbeImage: "localhost/probe:1", Owner: "o1", Tool: "test"}
	fakes := map[string]*kubetest.Cluster{}
	for _, c := range top.Names() {
		all := []client.Object{&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: topology.RootCertConfigMap}}}
		for _, o := range objs {
			all = append(all, o.DeepCopyObject().(client.Object))
		}
		fakes[c] = kubetest.New(t, c, all...)
		fakes[c].Admit(inject)
		m.Clients[c] = fakes[c].Client
	}
	return m, fakes
}

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "echo", errors.New("exceeded quota: small, requested: pods=1"))
}

func exists(t *testing.T, c *kubetest.Cluster) bool {
	t.Helper()
	err := c.Get(context.Background(), types.NamespacedName{Name: testNamespace}, &corev1.Namespace{})
	if err != nil && !kube.Absent(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestRejectedProbesAreInconclusiveWithTheRejectingWords(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	for _, f := range fakes {
		f.Fail("create", "Pod", "", forbidden(), 100)
	}
	var told atomic.Int32
	r, err := Run(t.Context(), m, Options{Suites: []string{SuiteWeights, SuiteFailover}, Observe: func(Result) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode() != ExitInconclusive || r.Summary[Inconclusive] != len(r.Checks) || len(r.Checks) == 0 {
		t.Fatalf("exit code %d, %v", r.ExitCode(), r.Summary)
	}
	for _, c := range r.Checks {
		if c.ID != CoverageCheck && !strings.Contains(c.Message, "exceeded quota: small") {
			t.Errorf("the rejecting words are missing: %s", c.Line())
		}
	}
	if int(told.Load()) != len(r.Checks) {
		t.Errorf("told %d of %d results", told.Load(), len(r.Checks))
	}
	for name, f := range fakes {
		if exists(t, f) {
			t.Errorf("the namespace stayed in %s", name)
		}
	}
}

func TestRunsAtOnceRefuseEachOther(t *testing.T) {
	t.Parallel()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace, Labels: map[string]string{LabelVerify: "true"},
		Annotations: map[string]string{annotationBy: "process 7 on laptop", annotationAlive: time.Now().UTC().Format(time.RFC3339Nano)}}}
	m, fakes := twoClusters(t)
	if err := fakes["east"].Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"%d"}}}`, annotationAlive, i))
			_ = fakes["east"].Patch(ctx, ns.DeepCopy(), patch)
			time.Sleep(100 * time.Millisecond)
		}
	}()
	_, err := Run(t.Context(), m, Options{Suites: []string{SuiteWeights}})
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "process 7 on laptop") {
		t.Fatalf("error %v", err)
	}
	if !exists(t, fakes["east"]) {
		t.Error("the namespace of the other run was removed")
	}
	if exists(t, fakes["west"]) {
		t.Error("the namespace of this run stayed")
	}
}

func TestWhatAKilledRunLeftIsRemovedFirst(t *testing.T) {
	t.Parallel()
	for name, alive := range map[string]string{"long ago": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano), "a moment ago": time.Now().UTC().Format(time.RFC3339Nano)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fakes := twoClusters(t,
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace, Labels: map[string]string{LabelVerify: "true"}, Annotations: map[string]string{annotationAlive: alive}}},
				&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "left"}})
			for _, f := range fakes {
				f.Fail("create", "Pod", "", forbidden(), 100)
			}
			r, err := Run(t.Context(), m, Options{Suites: []string{SuiteWeights}})
			if err != nil || r.Summary[Inconclusive] == 0 {
				t.Fatalf("report %+v, %v", r, err)
			}
			for c, f := range fakes {
				if err := f.Get(t.Context(), types.NamespacedName{Namespace: testNamespace, Name: "left"}, &corev1.Pod{}); !kube.Absent(err) {
					t.Errorf("what was left is still in %s: %v", c, err)
				}
			}
		})
	}
}

func TestAForeignNamespaceIsNotTouched(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	r, err := Run(t.Context(), m, Options{Suites: []string{SuiteWeights}})
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode() != ExitInconclusive || !strings.Contains(r.Checks[0].Message, "spec.verify.probe.namespace") {
		t.Errorf("%d: %s", r.ExitCode(), r.Checks[0].Message)
	}
	for name, f := range fakes {
		if !exists(t, f) {
			t.Errorf("the foreign namespace was removed from %s", name)
		}
	}
}

func TestAnInterruptLeavesNothing(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(500*time.Millisecond, cancel) // the probes never become ready here
	begun := time.Now()
	r, err := Run(ctx, m, Options{Suites: []string{SuiteWeights}})
	if !errors.Is(err, context.Canceled) || r != nil {
		t.Fatalf("report %v, error %v", r, err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	for name, f := range fakes {
		if exists(t, f) {
			t.Errorf("the namespace stayed in %s", name)
		}
		var pods corev1.PodList
		if err := f.List(context.Background(), &pods, client.InNamespace(testNamespace)); err != nil || len(pods.Items) > 0 {
			t.Errorf("%d pods stayed in %s, %v", len(pods.Items), name, err)
		}
	}
}

func TestAClusterThatCanNotBeReachedLeavesTheOther(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	fakes["east"].Fail("", "", "", errors.New("dial tcp 10.0.0.1:6443: connection refused"), 1000)
	fakes["west"].Fail("create", "Pod", "", forbidden(), 100)
	delete(m.Clients, "none")
	r, err := Run(t.Context(), m, Options{Suites: []string{SuiteTrust, SuiteDiscovery, SuiteLocality}})
	if err != nil {
		t.Fatal(err)
	}
	byKey := map[[4]string]Result{}
	for _, c := range r.Checks {
		byKey[c.key()] = c
	}
	if got := byKey[[4]string{"trust-cacerts", "", "east", ""}]; got.Status != Inconclusive || !strings.Contains(got.Message, "connection refused") {
		t.Errorf("east: %s", got.Line())
	}
	if got := byKey[[4]string{"trust-cacerts", "", "west", ""}]; got.Status != Fail || got.Code != "TRU002" {
		t.Errorf("west, which has no cacerts: %s", got.Line())
	}
	if exists(t, fakes["west"]) {
		t.Error("the namespace stayed in west")
	}
}

// A namespace that is made while the interrupt comes is removed too, and so is one whose making
// got no answer.
func TestANamespaceThatNobodyHeardOfIsRemoved(t *testing.T) {
	t.Parallel()
	isNamespace := func(obj client.Object) bool { _, ok := obj.(*corev1.Namespace); return ok }
	for name, run := range map[string]func(t *testing.T, m Mesh, f *kubetest.Cluster) error{
		"interrupted": func(t *testing.T, m Mesh, f *kubetest.Cluster) error {
			ctx, cancel := context.WithCancel(t.Context())
			f.Admit(func(obj client.Object) error {
				if isNamespace(obj) {
					cancel()
				}
				return nil
			})
			_, err := Run(ctx, m, Options{Suites: []string{SuiteWeights}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			return nil
		},
		"connection lost": func(t *testing.T, m Mesh, f *kubetest.Cluster) error {
			f.Unheard("Namespace", errors.New("read tcp 10.0.0.1:6443: connection reset by peer"))
			_, err := Run(t.Context(), m, Options{Suites: []string{SuiteWeights}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fakes := twoClusters(t)
			for _, f := range fakes {
				f.Fail("create", "Pod", "", forbidden(), 0)
			}
			if err := run(t, m, fakes["west"]); err != nil {
				t.Fatal(err)
			}
			for cluster, f := range fakes {
				if made := slices.Contains(f.Writes(), "create Namespace /"+testNamespace); !made && cluster == "west" {
					t.Error("it was never made")
				}
				if exists(t, f) {
					t.Errorf("the namespace stayed in %s", cluster)
				}
			}
		})
	}
}

func TestANamespaceThatAPolicyRejectsIsInconclusiveInItsWords(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	for _, f := range fakes {
		f.Fail("create", "Namespace", "", webhook(), 0)
	}
	r, err := Run(t.Context(), m, Options{Suites: []string{SuiteWeights}})
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"images must come from registry.corp", "spec.verify.probe.namespace"} {
		if r.ExitCode() != ExitInconclusive || !strings.Contains(r.Checks[0].Message, words) {
			t.Errorf("exit code %d, %q is missing in %s", r.ExitCode(), words, r.Checks[0].Message)
		}
	}
}
