// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// Labels of the lines that are not a cluster's.
const (
	// meshLabel stands before what belongs to no single cluster.
	meshLabel = "mesh"
	// pairsLabel stands before what joins two clusters.
	pairsLabel = "pairs"
)

// group is one line: the steps of one cluster, of the mesh or of all pairs.
type group struct {
	label string
	kind  groupKind
	steps []graph.Step
}

type groupKind int

// The order of the lines: what comes first in a run is above.
const (
	meshGroup groupKind = iota
	clusterGroup
	pairsGroup
)

// groups sorts steps into lines. Clusters are in the order in which the list of steps
// first names them.
func groups(steps []graph.Step) []*group {
	var all []*group
	for _, s := range steps {
		label, kind := s.Cluster, clusterGroup
		switch {
		case s.Cluster == "":
			label, kind = meshLabel, meshGroup
		case ofPair(s):
			label, kind = pairsLabel, pairsGroup
		}
		at := slices.IndexFunc(all, func(g *group) bool { return g.kind == kind && g.label == label })
		if at < 0 {
			all = append(all, &group{label: label, kind: kind})
			at = len(all) - 1
		}
		all[at].steps = append(all[at].steps, s)
	}
	slices.SortStableFunc(all, func(a, b *group) int { return int(a.kind) - int(b.kind) })
	return all
}

// ofPair reports whether a step joins two clusters: its ID ends in "@west:east".
func ofPair(s graph.Step) bool {
	_, at, found := strings.Cut(s.ID, "@")
	return found && strings.HasPrefix(at, s.Cluster+":")
}

// tally counts the steps of a group by how far they are.
type tally struct {
	open, done, changed int
	failed, blocked     []graph.Event
	interrupted         int
	running             []graph.Step // those that change something first, then as they started
	started, ended      time.Time    // of the first and of the last step
}

func (t *Terminal) tally(g *group) tally {
	var c tally
	for _, s := range g.steps {
		p := t.progress[s.ID]
		if !p.started.IsZero() && (c.started.IsZero() || p.started.Before(c.started)) {
			c.started = p.started
		}
		if p.running() {
			c.running = append(c.running, s)
		}
		c.add(p)
	}
	slices.SortStableFunc(c.running, func(a, b graph.Step) int {
		first, second := t.progress[a.ID], t.progress[b.ID]
		if changing(first) != changing(second) {
			if changing(first) {
				return -1
			}
			return 1
		}
		return first.started.Compare(second.started)
	})
	return c
}

func (c *tally) add(p *progress) {
	if p.ended.After(c.ended) {
		c.ended = p.ended
	}
	switch p.last.Kind {
	case graph.StepChanged:
		c.done++
		c.changed++
	case graph.StepUnchanged:
		c.done++
	case graph.StepFailed:
		c.failed = append(c.failed, p.last)
	case graph.StepBlocked:
		c.blocked = append(c.blocked, p.last)
	case graph.StepInterrupted:
		c.interrupted++
	default:
		c.open++
	}
}

// changing reports whether a step found something to do.
func changing(p *progress) bool { return p.last.Change != nil && p.last.Change.Needed() }

// rank orders groups by how much they want to be seen: failures first, what is over last.
func (c tally) rank() int {
	switch {
	case len(c.failed) > 0:
		return 0
	case len(c.running) > 0:
		return 1
	case len(c.blocked) > 0 || c.interrupted > 0:
		return 2
	case c.open > 0:
		return 3
	}
	return 4
}
