// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
)

func planned() []graph.Planned {
	change := func(id, title string, action graph.Action, reason string, fields ...graph.FieldChange) graph.Planned {
		return graph.Planned{
			Step:   graph.Step{ID: id, Title: title},
			Change: graph.Change{Action: action, Reason: reason, Fields: fields},
		}
	}
	return []graph.Planned{
		change("network", "container network", graph.None, ""),
		change("cacerts@west", "intermediate certificate", graph.None, ""),
		change("cluster@east", "kind cluster", graph.Create, ""),
		change("istio@west", "Istio control plane", graph.Update, "the values differ",
			graph.FieldChange{Path: "tag", Old: "1.30.2", New: "1.31.0"},
			graph.FieldChange{Path: "global.meshID", New: "usmesh"}),
		change("istio@east", "Istio control plane", graph.Create, "the cluster must be made first"),
		change("cacerts@east", "intermediate certificate", graph.Replace, "it hangs below another root certificate than the one of this mesh, which every peer would refuse",
			graph.FieldChange{Path: "root-cert.pem", Old: "SHA256:1f0a", New: "SHA256:77be"}),
		change("remote-secret@west:south", "remote secret", graph.Delete, "south is not in the file"),
		change("synced@west", "peers synced", graph.Unknown, "asking istiod: connection refused"),
	}
}

func TestRenderPlan(t *testing.T) {
	t.Parallel()
	goldenLooks(t, "plan", func(out *Output) error { return RenderPlan(out, planned()) })
}

func TestRenderPlanNothingToDo(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := RenderPlan(&b, planned()[:2]); err != nil || b.String() != "nothing to change, 2 unchanged\n" {
		t.Errorf("%v: %q", err, b.String())
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	goldenLooks(t, "table", func(out *Output) error {
		return Table(out, []string{"CLUSTER", "VERSION", "NOTE"}, [][]string{
			{"west", "v1.36.1", "ready\x1b[2J"},
			{"a-rather-long-cluster-name", "v1.36.1", "two of three replicas are ready and the third one waits for a node with enough memory to be added"},
			{"east"},
			{"", "", "https://a-link-that-is-never-broken.example.com/with/a/path/that/is/longer"},
		})
	})
}

func TestPrintError(t *testing.T) {
	t.Parallel()
	one := diag.Hint(errors.New("cluster@west: creating: no space left on device"), "free 15 GB, for instance with: podman image prune")
	two := fmt.Errorf("istio@east: creating: %w", diag.Hint(errors.New("running helm:\n\tError: \x1b[31mtimed out\x1b[0m"), "read the log:\n  /state/runs/1/log"))
	goldenLooks(t, "error", func(out *Output) error {
		PrintError(out, nil)
		PrintError(out, errors.New("one line"))
		PrintError(out, errors.Join(one, two, one))
		return nil
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestResultsThatCanNotBeWritten(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"table": Table(broken{}, nil, [][]string{{"a"}}),
		"plan":  RenderPlan(broken{}, nil),
		"block": WriteBlock(broken{}, Block{}),
	} {
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRenderPlanOfMany: a plan of many clusters is one row for each, and what is not simply made
// stays a row of its own.
func TestRenderPlanOfMany(t *testing.T) {
	t.Parallel()
	create := func(id, cluster, title string) graph.Planned {
		return graph.Planned{Step: graph.Step{ID: id, Cluster: cluster, Title: title}, Change: graph.Change{Action: graph.Create, Reason: "the cluster does not exist yet"}}
	}
	all := []graph.Planned{create("network", "", "container network")}
	for i := range 40 {
		c := fmt.Sprintf("c%02d", i)
		all = append(all, create("cluster@"+c, c, "kind cluster"), create("owner@"+c, c, "ownership"), create("istiod@"+c, c, "Istio control plane"))
	}
	all = append(all, create("remote-secret@c00:c01", "c00", "remote secret of c01"), create("synced@c00:c01", "c00", "c01 discovered"))
	all = append(all, graph.Planned{Step: graph.Step{ID: "eastwest@c07", Cluster: "c07", Title: "east-west gateway"},
		Change: graph.Change{Action: graph.Update, Reason: "11 fields differ", Fields: make([]graph.FieldChange, fieldsShown+1)}})
	goldenLooks(t, "plan-many", func(out *Output) error { return RenderPlan(out, all) })
}
