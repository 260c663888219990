// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/topology"
)

// recoversAtOnce bounds how many clusters are asked side by side, who they are or for anything.
const recoversAtOnce = 16

// Recover finds out, from clusters that exist, what this and other commands must know before
// they list steps: what they were made from, which subnets and addresses were allocated to them
// (those win over what the file alone would give), and which of them, or of the user's own, the
// file no longer has.
//
// It reads each cluster once and changes nothing there. A cluster that does not answer is its
// own step's business. The error is topology.Problems when the file would move a live cluster
// that is not to be replaced; with planning set, such a cluster is told by its step instead.
func (m *Mesh) Recover(ctx context.Context, planning bool) error {
	if m.digest == "" {
		m.digest = digest(m.Topology)
	}
	var names []string
	var err error
	if m.Provider != nil {
		names, err = m.Provider.List(ctx)
	}
	if errors.Is(err, cluster.ErrForeign) {
		return nil // the step `host` says so, with what to do
	}
	if err != nil {
		return fmt.Errorf("looking which clusters exist: %w", err)
	}
	m.dropped = m.notInFile(names)
	if err := m.Recall(); err != nil {
		return err
	}
	m.records, err = m.readRecords(ctx, names)
	if err != nil {
		return err
	}
	m.recorded = nil
	for _, name := range m.Selected() {
		if r := m.records[name]; r != nil && r.probe != "" {
			m.recorded = &r.settings
			break
		}
	}
	return m.keepAllocated(ctx, names, planning)
}

// Dropped are the clusters that were made from an earlier form of the file and are in it no
// longer, in order of name; Recover finds them.
func (m *Mesh) Dropped() []string { return slices.Clone(m.dropped) }

// notInFile are those of the kind clusters that the file does not have.
func (m *Mesh) notInFile(made []string) []string {
	var dropped []string
	for _, name := range made {
		own, ours := strings.CutPrefix(name, m.Topology.KindName(""))
		if ours && m.Topology.Cluster(own) == nil {
			dropped = append(dropped, own)
		}
	}
	return dropped
}

// readRecords reads the record of each cluster that exists, of the file or not.
func (m *Mesh) readRecords(ctx context.Context, existing []string) (map[string]*record, error) {
	names := append(m.Topology.Names(), m.dropped...)
	found := make([]*record, len(names))
	var group errgroup.Group
	group.SetLimit(recoversAtOnce)
	for i, name := range names {
		made := slices.Contains(existing, m.Topology.KindName(name))
		if c := m.Topology.Cluster(name); !made && (c == nil || !c.IsExisting()) {
			continue
		}
		group.Go(func() error {
			c, err := m.Client(ctx, name)
			if err != nil {
				return nil //nolint:nilerr // a cluster that does not answer is its own step's business
			}
			r, err := readRecord(ctx, c)
			if err == nil && r != nil && r.topology == m.Topology.Metadata.Name && (m.Owner == "" || r.owner == m.Owner) {
				found[i] = r
			}
			return nil
		})
	}
	_ = group.Wait()
	records := map[string]*record{}
	for i, name := range names {
		if found[i] != nil {
			records[name] = found[i]
		}
	}
	return records, ctx.Err()
}

// keepAllocated lets live clusters keep what they live with.
func (m *Mesh) keepAllocated(ctx context.Context, existing []string, planning bool) error {
	allocated := map[string]topology.Allocation{}
	for name, r := range m.records {
		if !m.mayReplace(name) && !m.onlyChecked(name) {
			allocated[name] = r.allocation
		}
	}
	for _, name := range m.Topology.Names() {
		c := m.Topology.Cluster(name)
		if r := m.records[name]; (r == nil || r.allocation == topology.Allocation{}) && !m.mayReplace(name) && !c.IsExisting() && slices.Contains(existing, m.Topology.KindName(name)) {
			allocated[name] = m.madeWith(ctx, name)
		}
	}
	if planning {
		for name, a := range allocated {
			if m.Topology.ApplyRecorded(map[string]topology.Allocation{name: a}) != nil {
				delete(allocated, name) // its step says that it is to be replaced
			}
		}
	}
	err := m.Topology.ApplyRecorded(allocated)
	if err != nil {
		return diag.WithExit(diag.Hint(err, "`meshfed up --replace CLUSTER` deletes a cluster and makes it anew; `meshfed plan` says what that costs"), diag.ExitUsage)
	}
	return nil
}

// madeWith is what a kind cluster was made with, of which the container engine knows: for one
// that is stopped or has no record yet. It is zero when nothing can be told.
func (m *Mesh) madeWith(ctx context.Context, name string) topology.Allocation {
	status, err := m.Provider.Look(ctx, m.kindSpec(name))
	if err != nil || status.State == cluster.Absent || status.State == cluster.HalfMade {
		return topology.Allocation{}
	}
	// What is no difference is as the file says now.
	a := m.Topology.Allocation(name, topology.AddressRange{})
	a.HTTPPort = 0
	for _, d := range status.Differences {
		switch d.Path {
		case "podSubnet":
			a.PodSubnet = d.Old
		case "serviceSubnet":
			a.ServiceSubnet = d.Old
		}
	}
	return a
}

// mayReplace says whether the user asked for a cluster to be made anew.
func (m *Mesh) mayReplace(name string) bool { return slices.Contains(m.Replace, name) }

// immutable lists what of a cluster's identity differs from the file: it is in every certificate
// and in every proxy of the cluster, and the peers know it by it.
func (m *Mesh) immutable(name string) []graph.FieldChange {
	r, c := m.record(name), m.Topology.Cluster(name)
	if r == nil || c == nil {
		return nil
	}
	var fields []graph.FieldChange
	for _, f := range []graph.FieldChange{
		{Path: "mesh.id", Old: r.mesh, New: m.Topology.Spec.Mesh.ID},
		{Path: "mesh.trustDomain", Old: r.trustDomain, New: m.Topology.Spec.Mesh.TrustDomain},
		{Path: "network", Old: r.network, New: c.Network},
	} {
		if f.Old != "" && f.Old != f.New {
			fields = append(fields, f)
		}
	}
	return fields
}

// record is what Recover read of a cluster; nil when it has none, or was made anew since.
func (m *Mesh) record(name string) *record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[name]
}

// CheckImmutable refuses a file that says another identity than live clusters have, before
// anything is changed. Clusters of Replace are made anew, so they may differ.
func (m *Mesh) CheckImmutable() error {
	var refused []error
	for _, name := range m.Selected() {
		fields := m.immutable(name)
		if len(fields) == 0 || m.mayReplace(name) {
			continue
		}
		refused = append(refused, m.refuseReplace(name, fields))
	}
	return errors.Join(refused...)
}

// refuseReplace is the error about a cluster that would have to be made anew.
func (m *Mesh) refuseReplace(name string, fields []graph.FieldChange) error {
	texts := make([]string, len(fields))
	back := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = fmt.Sprintf("%s is %s and the file says %s", f.Path, f.Old, f.New)
		back[i] = f.Path + ": " + f.Old
	}
	hint := "write " + strings.Join(back, ", ") + " to keep it"
	if c := m.Topology.Cluster(name); c != nil && c.IsExisting() {
		hint += "; it is a cluster of yours, which is never made anew: `meshfed down` and `meshfed up` make the mesh anew in it"
	} else {
		hint += "; `meshfed up --replace " + name + "` makes it anew: " + m.cost(name)
	}
	return diag.Op(diag.Hint(fmt.Errorf("what can not be changed on a live mesh was changed: %s", strings.Join(texts, "; ")), hint), name, "looking at the cluster")
}

// cost says what making a cluster anew takes with it.
func (m *Mesh) cost(name string) string {
	text := "kind cluster " + m.Topology.KindName(name) + " is deleted with all that runs in it"
	if peers := m.Topology.Peers(name); len(peers) > 0 {
		text += ", and for " + strings.Join(peers, " and ") + " its services are gone until it is up again"
	}
	return text
}
