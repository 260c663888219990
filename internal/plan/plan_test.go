// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// noClusters is a provider on a host where nothing has been made.
type noClusters struct {
	cluster.Provider
	err error
}

func (p noClusters) List(context.Context) ([]string, error) { return nil, p.err }

func (p noClusters) InternalServer(context.Context, string) (string, error) {
	return "", errors.New("no cluster, no address")
}

func (noClusters) Unrouted(context.Context, string, string, map[string]netip.Prefix) ([]string, error) {
	return nil, errors.New("no cluster, no node")
}

func (noClusters) Route(context.Context, string, string, map[string]netip.Prefix) error {
	return errors.New("no cluster, no node")
}

func (noClusters) Cut(context.Context, string, []string, []topology.AddressRange, time.Duration) error {
	return errors.New("no cluster, no node")
}

func (noClusters) Mend(context.Context, string) error { return errors.New("no cluster, no node") }

func (noClusters) Ports(context.Context, string) (map[int]int, error) { return nil, nil }

func (noClusters) Images(context.Context, string) ([]string, error) { return nil, nil }

func (noClusters) LoadImages(context.Context, string, func() (io.ReadCloser, error)) error {
	return errors.New("no cluster, no image")
}

func (p noClusters) Look(context.Context, cluster.Spec) (cluster.Status, error) {
	return cluster.Status{State: cluster.Absent}, p.err
}

// noEngine is an engine that has no network either.
type noEngine struct{ cluster.Engine }

func (noEngine) Name() string { return "podman" }
func (noEngine) Run(_ context.Context, args ...string) (string, error) {
	if strings.Join(args[:min(2, len(args))], " ") == "network inspect" {
		return "", &run.Error{Command: "podman network inspect", Output: "Error: network not found: no such network", Err: errors.New("exit status 125")}
	}
	return "", errors.New("not used by these tests")
}

func newMesh(t *testing.T, file string) *Mesh {
	t.Helper()
	tp, err := topology.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.Open(t.TempDir(), tp.Metadata.Name)
	if err != nil {
		t.Fatal(err)
	}
	return &Mesh{Topology: tp, State: dir, Engine: noEngine{}, Provider: noClusters{}, Owner: "0123456789abcdef"}
}

func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../examples/*/topology.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	return files
}

// TestUpListsTheSteps keeps the order of work of every example as a file to read.
func TestUpListsTheSteps(t *testing.T) {
	t.Parallel()
	for _, file := range examples(t) {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := Up(newMesh(t, file))
			if err := graph.Validate(steps); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, s := range steps {
				fmt.Fprintf(&b, "%-28s %-38s <- %s\n", s.ID, s.Title, strings.Join(s.Needs, " "))
			}
			golden.Check(t, "testdata/"+name+".steps", b.String())
		})
	}
}

// TestEveryStepHasADeadline: nothing hangs.
func TestEveryStepHasADeadline(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	down, err := Down(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(Up(m), down...) {
		if s.Timeout <= 0 {
			t.Errorf("%s has no timeout", s.ID)
		}
		if s.Title == "" {
			t.Errorf("%s has no title", s.ID)
		}
	}
}

// TestClustersLimitsStepsAndPairs: --clusters west leaves nothing of east, and no pair.
func TestClustersLimitsStepsAndPairs(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	m.Clusters = []string{"west"}
	for _, s := range Up(m) {
		if strings.Contains(s.ID, "east") && !strings.HasPrefix(s.ID, "eastwest@west") {
			t.Errorf("--clusters west still has %s", s.ID)
		}
	}
	if err := graph.Validate(Up(m)); err != nil {
		t.Error(err)
	}
}

// TestPlanOfNothing: before anything exists every cluster step says create, and nothing is
// unknown, although there is no API server to ask.
func TestPlanOfNothing(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	planned, err := graph.Plan(t.Context(), onlyIn(Up(m), "west", "east"), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range planned {
		if p.Change.Action != graph.Create {
			t.Errorf("%s: %s %s, want create", p.Step.ID, p.Change.Action, p.Change.Reason)
		}
	}
}

// onlyIn keeps the steps of clusters, which need no engine to look.
func onlyIn(steps []graph.Step, clusters ...string) []graph.Step {
	steps = slices.DeleteFunc(steps, func(s graph.Step) bool { return !slices.Contains(clusters, s.Cluster) })
	ids := map[string]bool{}
	for _, s := range steps {
		ids[s.ID] = true
	}
	for i := range steps {
		steps[i].Needs = slices.DeleteFunc(slices.Clone(steps[i].Needs), func(id string) bool { return !ids[id] })
	}
	return steps
}

// TestDownKnowsDroppedClusters: what is found on our network goes, whether the file still
// has it or not.
func TestDownKnowsDroppedClusters(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	got := m.known([]string{"usmesh-south", "usmesh-east"})
	if diff := cmp.Diff([]string{"usmesh-west", "usmesh-east", "usmesh-south"}, got); diff != "" {
		t.Error(diff)
	}
}

// volumesOnly is a provider on a host where making west was killed before its container.
type volumesOnly struct{ noClusters }

func (volumesOnly) Look(_ context.Context, s cluster.Spec) (cluster.Status, error) {
	switch s.Name {
	case "usmesh-west":
		return cluster.Status{State: cluster.HalfMade}, nil
	case "usmesh-east":
		return cluster.Status{}, cluster.ErrForeign
	}
	return cluster.Status{State: cluster.Absent}, nil
}

// TestDownFindsWhatIsNoContainer: volumes go too, and someone else's cluster stays.
func TestDownFindsWhatIsNoContainer(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	m.Provider = volumesOnly{}
	steps, err := Down(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]graph.Action{"cluster@usmesh-west": graph.Delete, "cluster@usmesh-east": graph.None}
	for _, s := range steps {
		if _, ok := want[s.ID]; !ok {
			continue
		}
		change, err := s.Look(t.Context())
		if err != nil || change.Action != want[s.ID] {
			t.Errorf("%s: %s, %v", s.ID, change.Action, err)
		}
	}
}

// TestUnreachableEngineIsNoEmptyHost: when clusters can not be listed, that is an error and
// not "nothing is there".
func TestUnreachableEngineIsNoEmptyHost(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	broken := errors.New("podman: cannot connect")
	m.Provider = noClusters{err: broken}
	if _, err := m.Client(t.Context(), "west"); !errors.Is(err, broken) || errors.Is(err, ErrNoCluster) {
		t.Errorf("Client: %v", err)
	}
	if _, err := Down(t.Context(), m); !errors.Is(err, broken) {
		t.Errorf("Down: %v", err)
	}
}
