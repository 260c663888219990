// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"context"
	"time"
)

// Action is what a Look found to be needed.
type Action string

// The actions. Everything but None makes Run call Do.
const (
	// Create makes something that is not there.
	Create Action = "create"
	// Update changes something in place.
	Update Action = "update"
	// Replace removes something and makes it again.
	Replace Action = "replace"
	// Delete removes something.
	Delete Action = "delete"
	// None leaves everything as it is.
	None Action = "none"
	// Unknown is what a plan says when the Look failed.
	Unknown Action = "unknown"
)

// doing is the action as it is said of work under way.
func (a Action) doing() string {
	switch a {
	case Create:
		return "creating"
	case Update:
		return "updating"
	case Replace:
		return "replacing"
	case Delete:
		return "deleting"
	default:
		return "changing"
	}
}

// FieldChange is one value that differs. Secrets appear as fingerprints only; that is
// for the Look that reports them to see to.
type FieldChange struct {
	// Path names the field, as the reader knows it: "spec.replicas".
	Path string `json:"path"`
	// Old is the value that was found; empty when there is none.
	Old string `json:"old"`
	// New is the value that is wanted; empty when there should be none.
	New string `json:"new"`
}

// Change is what a Look found: what to do, why, and which fields differ.
// The zero Change has an empty action, which counts as None.
type Change struct {
	Action Action        `json:"action"`
	Reason string        `json:"reason,omitempty"`
	Fields []FieldChange `json:"changes,omitempty"`
}

// Needed reports whether there is something to do.
func (c Change) Needed() bool { return c.Action != None && c.Action != "" }

// Step is one piece of work. It is a value: copying it is fine.
type Step struct {
	// ID is stable, unique in its list and shown to users: "istio@west".
	ID string
	// Cluster groups steps for display; empty for work on no single cluster.
	Cluster string
	// Title says in a few words what the step is about: "Istio control plane".
	Title string
	// Needs are the IDs of the steps that must have finished before this one starts.
	Needs []string
	// Timeout bounds Look, Do and the second Look together; 0 means no bound.
	Timeout time.Duration
	// Expected is how long Do usually takes; it serves estimates only.
	Expected time.Duration
	// Look finds out what is to be done. It changes nothing, and may be called at any
	// time and any number of times. When it cannot know because an earlier step must
	// make something first, it says Create and why.
	Look func(context.Context) (Change, error)
	// Do makes it so. It gets what Look found, is idempotent, returns when the work is
	// done (not merely asked for), and stops soon when its context ends.
	Do func(context.Context, Change) error
}
