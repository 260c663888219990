// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/graph"
)

func savedStep(id string, action graph.Action, reason string, fields ...graph.FieldChange) SavedStep {
	return SavedStep{ID: id, Change: graph.Change{Action: action, Reason: reason, Fields: fields}}
}

func TestSavedCompare(t *testing.T) {
	t.Parallel()
	before := Saved{Digest: "sha256:1", Images: "bundle /b", Steps: []SavedStep{
		savedStep("cluster@a", graph.None, ""),
		savedStep("istiod@a", graph.Update, "1 field differs", graph.FieldChange{Path: "tag", Old: "1", New: "2"}),
	}}
	for name, test := range map[string]struct {
		change func(*Saved)
		want   []Moved
	}{
		"nothing":  {func(*Saved) {}, nil},
		"the file": {func(s *Saved) { s.Digest = "sha256:2" }, []Moved{{"", "the topology file had sha256:1", "it has sha256:2"}}},
		"images":   {func(s *Saved) { s.Images = "docker.io" }, []Moved{{"", "images came from bundle /b", "they come from docker.io"}}},
		"a value": {func(s *Saved) { s.Steps[1].Fields[0].Old = "3" }, []Moved{
			{"istiod@a", `update (1 field differs) tag: "1" to "2"`, `update (1 field differs) tag: "3" to "2"`}}},
		"an action":   {func(s *Saved) { s.Steps[0] = savedStep("cluster@a", graph.Create, "") }, []Moved{{"cluster@a", "none", "create"}}},
		"a step less": {func(s *Saved) { s.Steps = s.Steps[1:] }, []Moved{{"cluster@a", "none", "there is no such step"}}},
		"a step more": {func(s *Saved) { s.Steps = append(s.Steps, savedStep("x", graph.Create, "")) }, []Moved{{"x", "there was no such step", "create"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := Saved{Digest: before.Digest, Images: before.Images, Steps: []SavedStep{before.Steps[0],
				savedStep("istiod@a", graph.Update, "1 field differs", graph.FieldChange{Path: "tag", Old: "1", New: "2"})}}
			test.change(&now)
			if diff := cmp.Diff(test.want, before.Compare(now)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOnlyDoesThePlan: a step that finds something else to do than the plan says is not done,
// unless it follows from a step that the plan changes; nothing is deleted unplanned.
func TestOnlyDoesThePlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		planned, found map[string]graph.Action
		done           []string
	}{
		"as planned":            {map[string]graph.Action{"a": graph.Update}, map[string]graph.Action{"a": graph.Update}, []string{"a"}},
		"moved in between":      {map[string]graph.Action{}, map[string]graph.Action{"a": graph.Update}, nil},
		"what follows":          {map[string]graph.Action{"a": graph.Create}, map[string]graph.Action{"a": graph.Create, "b": graph.Update}, []string{"a", "b"}},
		"deletes unplanned":     {map[string]graph.Action{"a": graph.Create}, map[string]graph.Action{"a": graph.Create, "b": graph.Delete}, []string{"a"}},
		"already as wanted":     {map[string]graph.Action{"a": graph.Update}, map[string]graph.Action{}, nil},
		"another action":        {map[string]graph.Action{"a": graph.Update}, map[string]graph.Action{"a": graph.Replace}, nil},
		"a deletion as planned": {map[string]graph.Action{"a": graph.Delete}, map[string]graph.Action{"a": graph.Delete}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var done []string
			step := func(id string, needs ...string) graph.Step {
				finished := false
				return graph.Step{ID: id, Needs: needs,
					Look: func(context.Context) (graph.Change, error) {
						if finished || test.found[id] == "" {
							return graph.Change{Action: graph.None}, nil
						}
						return graph.Change{Action: test.found[id]}, nil
					},
					Do: func(context.Context, graph.Change) error { finished = true; done = append(done, id); return nil }}
			}
			saved := Saved{}
			for _, id := range []string{"a", "b"} {
				action := test.planned[id]
				if action == "" {
					action = graph.None
				}
				saved.Steps = append(saved.Steps, savedStep(id, action, ""))
			}
			result := graph.Run(t.Context(), saved.Only([]graph.Step{step("a"), step("b", "a")}), graph.Options{})
			if diff := cmp.Diff(test.done, done); diff != "" {
				t.Errorf("done (-want +got):\n%s\n%v", diff, result.Err())
			}
			if refused := len(test.done) < len(test.found); refused != (result.Err() != nil) {
				t.Errorf("error: %v", result.Err())
			}
		})
	}
}

// TestConsequences: what is in a cluster that is made anew is created again, what others hold of
// it is updated, and the rest stays.
func TestConsequences(t *testing.T) {
	t.Parallel()
	one := func(id, cluster string, action graph.Action) graph.Planned {
		return graph.Planned{Step: graph.Step{ID: id, Cluster: cluster}, Change: graph.Change{Action: action}}
	}
	planned := []graph.Planned{
		one("network", "", graph.None), one("cluster@a", "a", graph.Replace), one("istiod@a", "a", graph.None), one("istiod@b", "b", graph.None),
		one("remote-secret@a:b", "a", graph.None), one("remote-secret@b:a", "b", graph.None), one("synced@b:a", "b", graph.None), one("remote-secret@b:c", "b", graph.None),
	}
	Consequences(planned)
	got := map[string]graph.Action{}
	for _, p := range planned {
		got[p.Step.ID] = p.Change.Action
	}
	want := map[string]graph.Action{
		"network": graph.None, "cluster@a": graph.Replace, "istiod@a": graph.Create, "istiod@b": graph.None,
		"remote-secret@a:b": graph.Create, "remote-secret@b:a": graph.Update, "synced@b:a": graph.Update, "remote-secret@b:c": graph.None,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
