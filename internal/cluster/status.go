// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"net/netip"
	"time"
)

// State of a cluster that shall exist.
type State string

// The states that a Looker finds.
const (
	// Absent: nothing of it exists.
	Absent State = "absent"
	// HalfMade: containers exist, but making was not finished, or they can not be started
	// again. Ensure makes it anew.
	HalfMade State = "half-made"
	// Stopped: whole, but its API does not answer. Ensure starts it.
	Stopped State = "stopped"
	// Paused: somebody has frozen its containers. Ensure lets them run on.
	Paused State = "paused"
	// Impaired: whole and its API answers, but its nodes do not reach each other, or something
	// else answers at the address of one, as after a restart. Ensure mends it in place.
	Impaired State = "impaired"
	// Different: whole and running, but made from another spec. Ensure refuses it.
	Different State = "different"
	// Ready: whole, as the spec says, and its API answers.
	Ready State = "ready"
)

// Status is what a Looker finds.
type Status struct {
	// State of the cluster.
	State State
	// Reason says in a few words why it is not Ready.
	Reason string
	// Differences are set when the state is Different.
	Differences []Difference
	// Notes say what has changed without making it different, such as a node's address.
	Notes []string
	// Started says when each node was last started, by its name; nil unless it is Ready.
	Started map[string]time.Time
}

// NodeStatus is a node of a cluster as the engine has it.
type NodeStatus struct {
	// Name of the node and of its container.
	Name string
	// State is the engine's word: running, exited and others.
	State string
	// Address on the container network now; invalid while the node does not run.
	Address netip.Addr
	// Recorded is the address that it had when the cluster was made or last started by us;
	// invalid when nothing is recorded.
	Recorded netip.Addr
}

// Difference is a field in which a cluster that exists differs from its spec.
type Difference struct {
	// Path of the field in the spec.
	Path string
	// Old is what the cluster was made from, New what the spec says.
	Old, New string
}

// String writes path: old -> new.
func (d Difference) String() string { return d.Path + ": " + d.Old + " -> " + d.New }

// Looker is a Provider that can tell how a cluster compares with its spec, in less than half a
// second and without changing anything. A running API alone does not make a cluster Ready: one
// whose making was interrupted is HalfMade, however well it answers.
type Looker interface {
	Look(ctx context.Context, s Spec) (Status, error)
}
