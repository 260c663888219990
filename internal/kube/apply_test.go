// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingapi "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// gateway is an Istio object without TypeMeta, as callers write it.
func gateway(host string) *networkingv1.Gateway {
	return &networkingv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: "g", Namespace: "istio-system"},
		Spec: networkingapi.Gateway{
			Selector: map[string]string{"istio": "x"},
			Servers: []*networkingapi.Server{{
				Port:  &networkingapi.Port{Number: 15443, Name: "tls", Protocol: "TLS"},
				Tls:   &networkingapi.ServerTLSSettings{Mode: networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH},
				Hosts: []string{host},
			}},
		},
	}
}

func TestApplyConverges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := kubetest.New(t, "west", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "istio-system", Labels: map[string]string{"theirs": "stays", "ours": "old"}}})
	objs := []client.Object{
		kube.Namespace("istio-system", map[string]string{"ours": "new"}),
		gateway("*.local"),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "istio-system"}, Data: map[string][]byte{"k": []byte("v")}},
	}
	for i, want := range []graph.Action{graph.Update, graph.Create, graph.Create} {
		if got, err := c.Look(ctx, objs[i]); err != nil || got.Action != want {
			t.Errorf("before, %T: %v, %v; want %s", objs[i], got, err, want)
		}
	}
	for range 2 {
		if err := c.Apply(ctx, objs...); err != nil {
			t.Fatal(err)
		}
	}
	for _, obj := range objs {
		if got, err := c.Look(ctx, obj); err != nil || got.Action != graph.None {
			t.Errorf("after, %T: %v, %v; want none", obj, got, err)
		}
	}
	var ns corev1.Namespace
	if err := c.Get(ctx, client.ObjectKey{Name: "istio-system"}, &ns); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"theirs": "stays", "ours": "new"}, ns.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	ours := slices.ContainsFunc(ns.ManagedFields, func(m metav1.ManagedFieldsEntry) bool {
		return m.Manager == topology.FieldManager && m.Operation == metav1.ManagedFieldsOperationApply
	})
	if !ours {
		t.Errorf("no fields are managed by %s: %v", topology.FieldManager, ns.ManagedFields)
	}
}

func TestApplyErrorNamesObjectAndCluster(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west")
	c.Fail("apply", "Gateway", "", errors.New("no room"), 0)
	err := c.Apply(context.Background(), gateway("*.local"))
	if err == nil || err.Error() != "west: applying Gateway istio-system/g: no room" {
		t.Errorf("error %q", err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	secret := func(name string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n"}}
	}
	c := kubetest.New(t, "west", secret("a"), secret("b"), secret("c"))
	c.Fail("delete", "Secret", "a", errors.New("held"), 0)
	err := c.Remove(ctx, secret("a"), secret("b"), secret("absent"), secret("c"))
	if err == nil || !strings.Contains(err.Error(), "removing Secret n/a: held") {
		t.Errorf("error %v", err)
	}
	var left corev1.SecretList
	if err := c.List(ctx, &left); err != nil {
		t.Fatal(err)
	}
	if len(left.Items) != 1 || left.Items[0].Name != "a" {
		t.Errorf("left: %d", len(left.Items))
	}
	c.Heal()
	for range 2 {
		if err := c.Remove(ctx, secret("a")); err != nil {
			t.Errorf("removing twice: %v", err)
		}
	}
}

func TestLookCanNotReachTheCluster(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west")
	c.Fail("get", "", "", errors.New("boom"), 0)
	got, err := c.Look(context.Background(), gateway("*.local"))
	if err == nil || got.Action != graph.Unknown {
		t.Errorf("%v, %v; want unknown and an error", got, err)
	}
}
