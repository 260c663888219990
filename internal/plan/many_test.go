// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/topology"
)

// manyClusters is a topology of clusters that say nothing but their name.
func manyClusters(t testing.TB, count int) *Mesh {
	t.Helper()
	var text strings.Builder
	text.WriteString("apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: many}\nspec:\n  clusters:\n")
	for i := range count {
		fmt.Fprintf(&text, "  - {name: c%03d, ingress: {}}\n", i)
	}
	tp, err := topology.Parse("many.yaml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.Open(t.TempDir(), tp.Metadata.Name)
	if err != nil {
		t.Fatal(err)
	}
	return &Mesh{Topology: tp, State: dir, Engine: noEngine{}, Provider: noClusters{}, Owner: "0123456789abcdef"}
}

func BenchmarkPlanOf200(b *testing.B) {
	m := manyClusters(b, topology.MaxItems)
	b.ReportAllocs()
	for b.Loop() {
		planned, err := graph.Plan(b.Context(), Up(m), graph.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := ui.RenderPlan(io.Discard, planned); err != nil {
			b.Fatal(err)
		}
	}
}
