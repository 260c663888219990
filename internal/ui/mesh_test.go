// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// meshSteps are the steps of a whole `up` of some clusters: what an eye sees of a real one.
func meshSteps(clusters ...string) []graph.Step {
	second := time.Second
	steps := []graph.Step{
		fake("host", "", "this host", second/2, nil),
		fake("roots", "", "roots agree", 0, []string{"host"}),
		fake("network", "", "container network", second, []string{"roots"}),
		fake("root", "", "root certificate", second/5, []string{"network"}),
		fake("node-image", "", "node image", 4*second, []string{"network"}, "loading localhost/meshfed/node:v1.36.3"),
	}
	for i, name := range clusters {
		at := func(step string) string { return step + "@" + name }
		on := func(step, title string, takes time.Duration, needs []string, states ...string) {
			takes += takes * time.Duration(i) / 8 // no two clusters are equally fast
			steps = append(steps, fake(at(step), name, title, takes, needs, states...))
		}
		on("cluster", "kind cluster", 17*second, []string{"network", "node-image", "root"}, "creating the node", "starting the control plane",
			"0/1 nodes ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized")
		on("owner", "ownership", second/5, []string{at("cluster")})
		on("loadbalancer", "MetalLB", 8*second, []string{at("owner")}, "applying chart metallb", "controller 0/1 ready: ContainerCreating", "speaker 0/1 ready")
		on("namespace", "istio-system", second/5, []string{at("owner")})
		on("cacerts", "intermediate CA", second, []string{at("namespace"), "root"})
		on("istio-base", "Istio's custom resources", 6*second, []string{at("namespace")}, "applying chart base")
		on("istiod", "Istio control plane", 9*second, []string{at("cacerts"), at("istio-base")}, "applying chart istiod", "0/1 ready: ContainerCreating", "0/1 ready: readiness probe failed")
		on("mtls", "mesh-wide mutual TLS mode", second/5, []string{at("istiod")})
		on("ingress", "ingress gateway", 6*second, []string{at("istiod"), at("loadbalancer")}, "0/1 ready: ContainerCreating")
		on("eastwest", "east-west gateway", 5*second, []string{at("istiod"), at("loadbalancer")}, "0/1 ready: ContainerCreating")
	}
	for _, from := range clusters {
		for _, to := range clusters {
			if pair := from + ":" + to; from != to {
				steps = append(steps,
					fake("remote-secret@"+pair, from, "remote secret of "+to, second, []string{"istiod@" + from, "istiod@" + to}),
					fake("synced@"+pair, from, to+" discovered", 3*second, []string{"remote-secret@" + pair}, "istiod has not read "+to+"'s secret yet"))
			}
		}
	}
	return steps
}

// played runs steps in no time and returns their events; those at the same moment are in
// the order of the steps.
func played(t *testing.T, steps []graph.Step) []graph.Event {
	t.Helper()
	order := map[string]int{}
	for i, s := range steps {
		order[s.ID] = i
	}
	var events []graph.Event
	synctest.Test(t, func(t *testing.T) {
		graph.Run(t.Context(), steps, graph.Options{Parallel: len(steps), Observe: func(e graph.Event) { events = append(events, e) }})
	})
	slices.SortStableFunc(events, func(a, b graph.Event) int {
		return cmp.Or(a.Time.Compare(b.Time), order[a.Step]-order[b.Step])
	})
	return events
}

func decoded(lines []byte) ([]graph.Event, error) {
	var events []graph.Event
	for decoder := json.NewDecoder(bytes.NewReader(lines)); decoder.More(); {
		var e graph.Event
		if err := decoder.Decode(&e); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}
