// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

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

// crossroads says which clusters there are once two ask for it.
type crossroads struct {
	*hosted
	all *sync.WaitGroup
}

func (c crossroads) List(context.Context) ([]string, error) {
	met := make(chan struct{})
	c.all.Done()
	go func() {
		c.all.Wait()
		close(met)
	}()
	select {
	case <-met:
		return nil, nil
	case <-time.After(10 * time.Second):
		return nil, errors.New("nobody else asked")
	}
}

func TestClustersAreAskedAtOnceWhetherTheyAnswer(t *testing.T) {
	t.Parallel()
	m := newMesh(t, example)
	var all sync.WaitGroup
	all.Add(2)
	m.Provider = crossroads{&hosted{}, &all}
	if live, err := m.live(t.Context(), []string{"west", "east"}); err != nil || len(live) > 0 {
		t.Errorf("%v, %v", live, err)
	}
}
