// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

const watchNamespace = testNamespace + "-watch"

// claimed is a namespace as a run or a watch makes it, that says alive.
func claimed(name, alive string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{LabelVerify: "true"},
		Annotations: map[string]string{annotationBy: "process 7 on laptop", annotationAlive: alive}}}
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// live renews a namespace until the test ends.
func live(t *testing.T, f *kubetest.Cluster, name string) {
	t.Helper()
	go func() {
		for ctx := t.Context(); ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, annotationAlive, now()))
			_ = f.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, patch)
		}
	}()
}

func has(t *testing.T, f *kubetest.Cluster, namespace string) bool {
	t.Helper()
	err := f.Get(context.WithoutCancel(t.Context()), types.NamespacedName{Name: namespace}, &corev1.Namespace{})
	if err != nil && !kube.Absent(err) {
		t.Fatal(err)
	}
	return err == nil
}

// TestVerifyRemovesWhatAKilledWatchLeft and what a living one has, or somebody else, stays.
func TestVerifyRemovesWhatAKilledWatchLeft(t *testing.T) {
	t.Parallel()
	foreign := claimed(watchNamespace, now())
	foreign.Labels = nil
	for name, tc := range map[string]struct {
		there   *corev1.Namespace
		alive   bool
		options Options
		stays   bool
	}{
		"killed a moment ago":  {claimed(watchNamespace, now()), false, Options{}, false},
		"killed long ago":      {claimed(watchNamespace, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)), false, Options{}, false},
		"alive":                {claimed(watchNamespace, now()), true, Options{}, true},
		"somebody else's":      {foreign, false, Options{}, true},
		"not by a passive one": {claimed(watchNamespace, now()), false, Options{Access: Passive}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			for _, k := range f.fakes {
				if err := k.Create(t.Context(), tc.there.DeepCopy()); err != nil {
					t.Fatal(err)
				}
				if tc.alive {
					live(t, k, watchNamespace)
				}
			}
			tc.options.Suites = []string{SuiteTrust}
			if _, err := Run(t.Context(), f.mesh, tc.options); err != nil {
				t.Fatal(err)
			}
			for c, k := range f.fakes {
				if has(t, k, watchNamespace) != tc.stays {
					t.Errorf("in %s it is there: %v", c, !tc.stays)
				}
			}
		})
	}
}

// TestWhoSpeaksAtTheLastMomentLives: between the last look and the removal a watch may renew its
// namespace, or another one may take it.
func TestWhoSpeaksAtTheLastMomentLives(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t, claimed(watchNamespace, "before"))
	west := fakes["west"]
	seen := &corev1.Namespace{}
	if err := west.Get(t.Context(), types.NamespacedName{Name: watchNamespace}, seen); err != nil {
		t.Fatal(err)
	}
	patch := func(annotation, value string) {
		t.Helper()
		p := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, annotation, value))
		if err := west.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: watchNamespace}}, p); err != nil {
			t.Fatal(err)
		}
	}
	one := member1(t, m)
	patch(annotationAlive, "after")
	if err := one.bury(t.Context(), seen.DeepCopy()); !errors.Is(err, ErrBusy) || !has(t, west, watchNamespace) {
		t.Errorf("%v; it is there: %v", err, has(t, west, watchNamespace))
	}
	patch(annotationAlive, "before")
	patch("somebody", "else") // a change that is no sign of life
	if err := one.bury(t.Context(), seen.DeepCopy()); err != nil || has(t, west, watchNamespace) {
		t.Errorf("%v; it is there: %v", err, has(t, west, watchNamespace))
	}
}

// TestWhoCanNotBeHeardIsNotDead: an API server that does not answer tells nothing of the watch.
func TestWhoCanNotBeHeardIsNotDead(t *testing.T) {
	t.Parallel()
	_, fakes := twoClusters(t, claimed(watchNamespace, now()))
	west := fakes["west"]
	seen := &corev1.Namespace{}
	if err := west.Get(t.Context(), types.NamespacedName{Name: watchNamespace}, seen); err != nil {
		t.Fatal(err)
	}
	west.Fail("get", "Namespace", "", errors.New("connection refused"), 0)
	if err := dead(t.Context(), west.Client, seen); err == nil || errors.Is(err, ErrBusy) {
		t.Errorf("error %v", err)
	}
}
