// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

// A webhook that kube-proxy does not lead to yet is waited for; one that says no is believed.
func TestApplyValidatedWaitsForTheWebhook(t *testing.T) {
	t.Parallel()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "validated"}, Data: map[string]string{"a": "b"}}
	unreachable := apierrors.NewInternalError(errors.New(`failed calling webhook "validation.istio.io": dial tcp 10.200.0.24:443: connect: connection refused`))

	c := kubetest.New(t, "east")
	c.Fail("apply", "ConfigMap", "validated", unreachable, 2)
	if err := c.ApplyValidated(t.Context(), object); err != nil {
		t.Fatalf("after two refused connections: %v", err)
	}
	if writes := c.Writes(); len(writes) == 0 {
		t.Error("nothing was written")
	}

	// A definition is established before the API server lists its kind.
	c = kubetest.New(t, "east")
	c.Fail("apply", "ConfigMap", "validated", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "Gateway"}, SearchedVersions: []string{"v1"}}, 2)
	if err := c.ApplyValidated(t.Context(), object); err != nil {
		t.Fatalf("after two answers without the kind: %v", err)
	}

	c = kubetest.New(t, "east")
	c.Fail("apply", "ConfigMap", "validated", apierrors.NewForbidden(corev1.Resource("configmaps"), "validated", errors.New("admission webhook denied the request")), 1)
	err := c.ApplyValidated(t.Context(), object)
	if err == nil || !strings.Contains(err.Error(), "denied the request") {
		t.Errorf("a refusal must be final: %v", err)
	}
}
