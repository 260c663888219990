// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"testing"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

// TestMomentAsksOnce: the same question, of one container out of many too, is asked of the engine
// once; what may change something, and failures, are not kept.
func TestMomentAsksOnce(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "ps", Out: "1 lab-west-control-plane\n2 lab-west2-control-plane,alias\n3 other"},
		{To: "container inspect", Out: `[{"Id": "1", "Name": "lab-west-control-plane"}]`},
		{To: "network inspect", Fails: "Error: network not found: no such network"},
		{To: "image inspect", Fails: "cannot connect"},
	}}
	m := Moment(e)
	for range 3 {
		list, err := Containers(t.Context(), m, "name=^lab-west-(control-plane|worker)[0-9]*$")
		if err != nil || len(list) != 1 || list[0].ID != "1" {
			t.Fatalf("%v, %v", list, err)
		}
		if list, err = Containers(t.Context(), m, "name=^lab-east-"); err != nil || len(list) != 0 {
			t.Fatalf("%v, %v", list, err)
		}
		if _, err := InspectNetwork(t.Context(), m, "lab"); !errors.Is(err, ErrNoNetwork) {
			t.Fatal(err)
		}
		_, _ = m.Run(t.Context(), "image", "inspect", "x")
		_, _ = m.Run(t.Context(), "exec", "lab-west-control-plane", "true")
	}
	for to, want := range map[string]int{"ps": 1, "container inspect 1": 1, "network inspect": 1, "image inspect": 3, "exec": 3} {
		if got := len(e.Calls(to)); got != want {
			t.Errorf("%s was asked %d times, want %d", to, got, want)
		}
	}
}

// TestMomentAfterACancelledQuestion: who comes later gets an answer of his own.
func TestMomentAfterACancelledQuestion(t *testing.T) {
	t.Parallel()
	m := Moment(&clustertest.Engine{Answers: []clustertest.Answer{{To: "ps", Out: "1 a"}}})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Run(ended, "ps"); err == nil {
		t.Fatal("a cancelled question was answered")
	}
	if out, err := m.Run(t.Context(), "ps"); err != nil || out != "1 a" {
		t.Errorf("%q, %v", out, err)
	}
}
