// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

func TestOwnedLabels(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west")
	owned := c.Owned(&topology.Topology{Metadata: topology.Metadata{Name: "usmesh"}}, "o1")
	got := kube.Namespace("n", kube.Labels(owned, map[string]string{"more": "x"})).Labels
	want := map[string]string{"meshfed.io/topology": "usmesh", "meshfed.io/owner": "o1", "more": "x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(owned) != 2 {
		t.Errorf("merging changed its input: %v", owned)
	}
}
