// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

var record = flag.Bool("record", false, "run the fake steps and write testdata/events.jsonl anew")

// fakeSteps is a two-cluster bring-up in which east's control plane never gets ready.
func fakeSteps() []graph.Step {
	return []graph.Step{
		fake("network", "", "container network", 400*time.Millisecond, nil),
		fake("root", "", "root certificate", 0, nil),
		fake("cluster@west", "west", "kind cluster", 21*time.Second, []string{"network"}, "starting the control plane", "waiting for the node"),
		fake("istio@west", "west", "Istio control plane", 24*time.Second, []string{"cluster@west", "root"}, "0/1 ready: ContainerCreating", "1/1 ready"),
		fake("eastwest@west", "west", "east-west gateway", 8*time.Second, []string{"istio@west"}),
		fake("cluster@east", "east", "kind cluster", 19*time.Second, []string{"network"}, "starting the control plane"),
		fake("istio@east", "east", "Istio control plane", 25*time.Second, []string{"cluster@east", "root"}, "0/1 ready: ContainerCreating", "0/1 ready: ImagePullBackOff localhost/pilot"),
		fake("eastwest@east", "east", "east-west gateway", 8*time.Second, []string{"istio@east"}),
		fake("remote-secret@west:east", "west", "remote secret of east", time.Second, []string{"istio@west", "istio@east"}),
		fake("remote-secret@east:west", "east", "remote secret of west", time.Second, []string{"istio@west", "istio@east"}),
	}
}

func fake(id, cluster, title string, takes time.Duration, needs []string, states ...string) graph.Step {
	done := takes == 0
	return graph.Step{
		ID: id, Cluster: cluster, Title: title, Needs: needs, Expected: takes.Round(time.Second),
		Look: func(context.Context) (graph.Change, error) {
			if done {
				return graph.Change{Action: graph.None}, nil
			}
			return graph.Change{Action: graph.Create, Reason: "not there"}, nil
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			for _, state := range states {
				graph.State(ctx, "%s", state)
				time.Sleep(takes / time.Duration(len(states)+1))
			}
			time.Sleep(takes / time.Duration(len(states)+1))
			if id == "istio@east" {
				return errors.New("waiting for deployment istiod: not within 25s; last seen: 0/1 ready: ImagePullBackOff localhost/pilot")
			}
			done = true
			return nil
		},
	}
}

// stream reads the recorded events of a run of fakeSteps; -record makes them.
func stream(t *testing.T) []graph.Event {
	t.Helper()
	const path = "testdata/events.jsonl"
	if *record {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		for _, e := range played(t, fakeSteps()) {
			if err := encoder.Encode(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	events, err := decoded(data)
	if err != nil {
		t.Fatal(err)
	}
	return events
}
