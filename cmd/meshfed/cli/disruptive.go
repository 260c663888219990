// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/verify"
)

// faultsFile of a run folder holds every disruptive fault of the run, a line of JSON each.
const faultsFile = "faults.jsonl"

const (
	// proofTime bounds a verification, disruptionTime is what each disruptive fault may add: the
	// longest load of the probe.
	proofTime      = 10 * time.Minute
	disruptionTime = 3 * time.Minute
)

// verifyTime bounds a verification. Of disruptive faults there are at most two for each cluster.
func (a *app) verifyTime(m *plan.Mesh) time.Duration {
	if !a.disruptive {
		return proofTime
	}
	return proofTime + time.Duration(2*len(m.Selected()))*disruptionTime
}

// verifyExpected is the median of a verification on two cores. It only serves the estimate of
// the time left.
func (a *app) verifyExpected(m *plan.Mesh) time.Duration {
	if !a.disruptive {
		return 20 * time.Second
	}
	return 20*time.Second + time.Duration(2*len(m.Selected())-1)*10*time.Second
}

// sayDisruptive says beforehand what --disruptive touches.
func (a *app) sayDisruptive(m *plan.Mesh) {
	if !a.disruptive || a.quiet {
		return
	}
	for _, line := range verify.Touches(m.Topology, a.clusters, m.Wires()) {
		fmt.Fprintln(a.Err, "disruptive:", line)
	}
}

// drawLoad draws a load of the suite failover where --live asked for it.
func (a *app) drawLoad(p verify.Progress) {
	if a.live && a.timeline != nil {
		a.timeline(ui.Timeline{Label: p.From + " -> " + p.To + " " + p.Variant, Own: p.Own, Other: p.Other, Lost: p.Lost, Fault: p.Fault, Repair: p.Repair})
	}
}

// restoreFaults undoes, before anything else, what a killed `verify --disruptive` has left.
func (a *app) restoreFaults(ctx context.Context, m *plan.Mesh, clusters []string) error {
	say := func(text string) {
		if !a.quiet {
			fmt.Fprintln(a.Err, "fault:", text)
		}
	}
	restored, err := m.RestoreFaults(ctx, clusters, say)
	for _, f := range restored {
		say("restored what a killed run had left: " + f.Undone())
	}
	if err != nil {
		return diag.Hint(err, "`"+a.command("status")+"` shows what is left")
	}
	return nil
}
