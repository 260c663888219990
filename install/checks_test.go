// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// TestAnAddressIsToldAsAWhole: one that another begins or ends with is another one.
func TestAnAddressIsToldAsAWhole(t *testing.T) {
	t.Parallel()
	for networks, told := range map[string]bool{
		"": false, "networks: {}": false,
		"networks: {east: {gateways: [{address: 10.0.0.10, port: 15443}]}}":         false,
		"networks: {east: {gateways: [{address: 110.0.0.1, port: 15443}]}}":         false,
		"networks:\n  east:\n    gateways:\n    - address: 10.0.0.1\n      port: 1": true,
		`{"networks":{"east":{"gateways":[{"address":"10.0.0.1","port":15443}]}}}`:  true,
	} {
		c := kubetest.New(t, "west", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "istio"},
			Data: map[string]string{"meshNetworks": networks}})
		top := &topology.Topology{}
		top.Spec.Clusters = []topology.Cluster{{Name: "west"}, {Name: "east", EastWest: topology.EastWest{Addresses: []string{"10.0.0.1"}}}}
		missing, err := OthersIstio{Mesh{Topology: top}}.untold(t.Context(), c.Client)
		if err != nil || (missing == "") != told {
			t.Errorf("%q: %q is missing, %v", networks, missing, err)
		}
	}
}
