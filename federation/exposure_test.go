// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"context"
	"errors"
	"testing"

	networkingapi "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

func TestExposureGolden(t *testing.T) {
	t.Parallel()
	got, err := yaml.Marshal(federation.Exposure{Labels: map[string]string{"meshfed.io/topology": "usmesh"}}.Gateway())
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/exposure.yaml", got)
}

func TestExposureConverges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := kubetest.New(t, "west")
	e := federation.Exposure{Labels: map[string]string{"meshfed.io/owner": "o1"}}
	want := func(when string, action graph.Action) {
		t.Helper()
		if got, err := e.Look(ctx, c.Client); err != nil || got.Action != action {
			t.Errorf("%s: %+v, %v; want %s", when, got, err, action)
		}
	}
	want("at first", graph.Create)
	if err := e.Do(ctx, c.Client, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	want("when made", graph.None)

	var live networkingv1.Gateway
	if err := c.Get(ctx, client.ObjectKeyFromObject(e.Gateway()), &live); err != nil {
		t.Fatal(err)
	}
	live.Spec.Servers[0].Tls.Mode = networkingapi.ServerTLSSettings_PASSTHROUGH
	if err := c.Update(ctx, &live); err != nil {
		t.Fatal(err)
	}
	want("when somebody ends its mode", graph.Update)
	if err := e.Do(ctx, c.Client, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	want("when mended", graph.None)
	for range 2 {
		if err := e.Remove(ctx, c.Client); err != nil {
			t.Fatal(err)
		}
	}
	want("when removed", graph.Create)
}

func TestExposureFailureIsNamed(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west")
	c.Fail("apply", "Gateway", "", errors.New("boom"), 0)
	err := federation.Exposure{}.Do(context.Background(), c.Client, graph.Change{})
	if err == nil || err.Error() != "west: applying Gateway istio-system/cross-network-gateway: boom" {
		t.Errorf("error %v", err)
	}
}
