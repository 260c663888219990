// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/graph"
)

func TestPlanLooksAndDoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("network")
		silent := w.step("silent")
		silent.Look = func(ctx context.Context) (graph.Change, error) {
			<-ctx.Done()
			return graph.Change{}, errors.New("asking the API server: context deadline exceeded")
		}
		planned, err := graph.Plan(t.Context(), []graph.Step{w.step("istio", "network"), w.step("network"), silent}, graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []graph.Change
		for _, p := range planned {
			got = append(got, p.Change)
		}
		want := []graph.Change{
			{Action: graph.Create, Reason: "istio is not there"},
			{Action: graph.None},
			{Action: graph.Unknown, Reason: "not done within 1m0s: asking the API server: context deadline exceeded"},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if planned[2].Err == nil || len(w.log) > 0 {
			t.Errorf("error %v, did %v", planned[2].Err, w.log)
		}
	})
}

func TestPlanInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := graph.Plan(ctx, []graph.Step{newWorld().step("a")}, graph.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}

func TestPlannedJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(graph.Planned{
		Step: graph.Step{ID: "istio@west", Cluster: "west", Title: "Istio control plane", Needs: []string{"cacerts@west"}},
		Change: graph.Change{Action: graph.Update, Reason: "version differs", Fields: []graph.FieldChange{
			{Path: "version", Old: "1.30.0", New: "1.31.0"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"istio@west","cluster":"west","title":"Istio control plane","needs":["cacerts@west"],"action":"update",` +
		`"reason":"version differs","changes":[{"path":"version","old":"1.30.0","new":"1.31.0"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	empty, _ := json.Marshal(graph.Planned{Step: graph.Step{ID: "network"}, Change: graph.Change{Action: graph.None}})
	if !strings.Contains(string(empty), `"needs":[]`) {
		t.Errorf("needs must be a list: %s", empty)
	}
}

func TestEventJSON(t *testing.T) {
	t.Parallel()
	want := graph.Event{
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Kind: graph.StepFailed, Step: "a@west", Cluster: "west",
		Title: "A", State: "0/1 ready", Change: &graph.Change{Action: graph.Create, Reason: "absent"},
		Duration: 1234 * time.Millisecond, Expected: time.Minute, Err: errors.New("broken"), BlockedBy: []string{"b"},
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"durationSeconds":1.234,"expectedSeconds":60,"error":"broken"`) {
		t.Errorf("%s", data)
	}
	var got graph.Event
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	text := cmp.Transformer("text", func(err error) string { return err.Error() })
	if d := cmp.Diff(want, got, text); d != "" {
		t.Error(d)
	}
	if err := json.Unmarshal([]byte(`{"time":7}`), &got); err == nil {
		t.Error("a time that is a number passes")
	}
}

func TestStateOutsideAStep(t *testing.T) {
	t.Parallel()
	graph.State(t.Context(), "nobody %s", "listens")
	var got string
	graph.State(graph.WithState(t.Context(), func(s string) { got = s }), "%d of %d", 1, 2)
	if got != "1 of 2" {
		t.Errorf("got %q", got)
	}
}
