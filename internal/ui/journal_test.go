// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// TestJournal is `up` without a terminal, such as in CI.
func TestJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		j := newJournal(&Output{Writer: &b}, fakeSteps(), time.Now)
		stop := every(time.Second, j.remind)
		start := time.Now()
		events := stream(t)
		first := events[0].Time
		for _, e := range events {
			time.Sleep(time.Until(start.Add(e.Time.Sub(first))))
			e.Time = time.Now()
			j.Observe(e)
		}
		time.Sleep(time.Hour)
		stop()
		checkFile(t, "journal.txt", b.String())
	})
}

func TestJournalIsNotSilentForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		steps := []graph.Step{{ID: "a", Cluster: "west", Title: "A", Expected: 4 * time.Second}, {ID: "b", Cluster: "east", Title: "B"}}
		view := NewView(&Output{Writer: &b}, steps)
		change := &graph.Change{Action: graph.Create}
		view.Observe(graph.Event{Time: time.Now(), Kind: graph.Started, Step: "a", Cluster: "west"})
		view.Observe(graph.Event{Time: time.Now(), Kind: graph.Looked, Step: "a", Cluster: "west", Change: change, Expected: 4 * time.Second})
		view.Observe(graph.Event{Time: time.Now(), Kind: graph.Started, Step: "b", Cluster: "east"})
		for i := range 100 { // many states are no reason for many lines
			view.Observe(graph.Event{Time: time.Now(), Kind: graph.StateSeen, Step: "b", Cluster: "east", State: strings.Repeat("x", i)})
		}
		time.Sleep(35*time.Second + time.Millisecond)
		view.Observe(graph.Event{Time: time.Now(), Kind: graph.StepUnchanged, Step: "a", Cluster: "west"})
		view.Close()
		view.Close()
		want := "[ 10.0s] west  a  creating (10s, usually 4s)\n" +
			"[ 20.0s] east  b  " + strings.Repeat("x", 99) + " (20s)\n" +
			"[ 30.0s] west  a  creating (30s, usually 4s)\n" +
			"[ 35.0s] west  a  unchanged\n"
		if b.String() != want {
			t.Errorf("got\n%s\nwant\n%s", b.String(), want)
		}
	})
}
