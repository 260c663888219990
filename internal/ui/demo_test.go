// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

var (
	demo   = flag.Int("demo", 0, "show a made-up run of so many clusters on this terminal")
	sick   = flag.Bool("sick", false, "with -demo: the control plane of the second cluster fails")
	replay = flag.String("replay", "", "show the run of an events.jsonl on this terminal, as fast as it was")
)

// TestDemo is for eyes, on a real terminal:
//
//	go test -c -o ui.test ./internal/ui && cd internal/ui && ../../ui.test -test.run TestDemo -demo 3
//
// Ctrl-C ends it as it ends `up`.
func TestDemo(t *testing.T) {
	if *demo == 0 && *replay == "" {
		t.Skip("for eyes: -demo or -replay")
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	out, ok := Detect(os.Stderr, os.Getenv), false
	if *replay != "" {
		replayed(ctx, t, out)
		return
	}
	names := []string{"west", "east", "north", "south", "europe-central", "asia-southeast"}
	for i := len(names); i < *demo; i++ {
		names = append(names, fmt.Sprintf("edge-%02d", i))
	}
	names = names[:*demo]
	steps := meshSteps(names...)
	if *sick {
		at := slices.IndexFunc(steps, func(s graph.Step) bool { return s.ID == "istiod@"+names[1] })
		steps[at].Do = fakeSteps()[6].Do
	}
	view := NewView(out, steps)
	result := graph.Run(ctx, steps, graph.Options{Observe: view.Observe, Parallel: 64})
	view.Close()
	if ok = result.Err() == nil; !ok {
		PrintError(out, result.Err())
		return
	}
	err := WriteBlock(out, Block{
		Mark: Pass, Title: "usmesh is up (" + Duration(result.Duration) + ") and proven (31.7s)", Matrix: new(proven(names...)),
		Facts: [][2]string{
			{"ingress west", "http://127.0.0.1:30000"}, {"ingress east", "http://127.0.0.1:30001"},
			{"soonest expiry", "remote secret of east in west: 2027-03-01 (`meshfed up -f topology.yaml` renews it)"},
		},
		Next: [][2]string{
			{"meshfed status -f topology.yaml", "clusters, gateways, credentials"},
			{"meshfed verify -f topology.yaml", "the proof again"}, {"meshfed down -f topology.yaml", "remove it all"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func replayed(ctx context.Context, t *testing.T, out *Output) {
	data, err := os.ReadFile(*replay)
	if err != nil {
		t.Fatal(err)
	}
	events, err := decoded(bytes.TrimSpace(data))
	if err != nil {
		t.Fatal(err)
	}
	var steps []graph.Step
	for _, e := range events {
		if !slices.ContainsFunc(steps, func(s graph.Step) bool { return s.ID == e.Step }) {
			steps = append(steps, graph.Step{ID: e.Step, Cluster: e.Cluster, Title: e.Title, Expected: e.Expected})
		}
	}
	view := NewView(out, steps)
	defer view.Close()
	start, first := time.Now(), events[0].Time
	for _, e := range events {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(start.Add(e.Time.Sub(first)))):
		}
		e.Time = start.Add(e.Time.Sub(first))
		view.Observe(e)
	}
}
