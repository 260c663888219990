// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
)

// Down lists the steps that remove what Up made. It works from the clusters that are found
// on the topology's own network united with those of the file, so a cluster that was
// dropped from the file goes too, and it needs no state directory.
//
// Kind clusters go as a whole, with what was put into them. Out of clusters of the user's own
// goes what Up put there, piece by piece; out of those that the file no longer has too, as long
// as the state directory says where they are.
func Down(ctx context.Context, m *Mesh) ([]graph.Step, error) {
	var steps []graph.Step
	if err := m.Recall(); err != nil {
		return nil, err
	}
	for _, name := range append(m.Existing(), m.Former()...) {
		steps = append(steps, m.clear(name)...)
	}
	var found []string
	if m.Provider != nil {
		var err error
		if found, err = m.Provider.List(ctx); err != nil {
			return nil, err
		}
	}
	m.dropped = m.notInFile(found)
	m.keepUnplaced(ctx)
	if m.Provider == nil {
		return steps, nil
	}
	var needs []string
	for _, name := range m.known(found) {
		id := "cluster@" + name
		needs = append(needs, id)
		steps = append(steps, graph.Step{
			ID: id, Cluster: name, Title: "kind cluster " + name, Timeout: minutes(3), Expected: seconds(5),
			Look: func(ctx context.Context) (graph.Change, error) { return m.lookGone(ctx, name) },
			Do: func(ctx context.Context, _ graph.Change) error {
				return diag.Op(m.Provider.Delete(ctx, name), name, "deleting the kind cluster")
			},
		})
	}
	if m.Topology.OwnsNetwork() {
		steps = append(steps, m.step("network", "container network", seconds(60), seconds(1), networkGone{m}, needs...))
	}
	return steps, nil
}

// keepUnplaced tells of clusters that Down can not find, as far as the user's own name them.
func (m *Mesh) keepUnplaced(ctx context.Context) {
	_, _ = m.live(ctx, m.Existing()) // one that does not answer is its own steps' business
	m.FindUnplaced(ctx)
	for _, name := range m.unplaced {
		m.keep(name, "it is not in the file, and where it is is not recorded here: what `up` put there stays")
	}
}

// known unites the kind clusters of the file with those that were found.
func (m *Mesh) known(found []string) []string {
	var names []string
	for _, name := range m.Topology.Names() {
		if !m.existing(name) {
			names = append(names, m.Topology.KindName(name))
		}
	}
	for _, name := range found {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (m *Mesh) lookGone(ctx context.Context, kindName string) (graph.Change, error) {
	there, err := m.there(ctx, kindName)
	if err != nil || !there {
		return graph.Change{Action: graph.None, Reason: "not there"}, err
	}
	return graph.Change{Action: graph.Delete}, nil
}

// there says whether anything of a kind cluster of ours is left. One of that name that is
// someone else's is not.
func (m *Mesh) there(ctx context.Context, kindName string) (bool, error) {
	found, err := m.Provider.List(ctx)
	if err != nil || slices.Contains(found, kindName) {
		return err == nil, err
	}
	// Of a cluster that was interrupted early only volumes may be left, which no list of
	// containers shows.
	status, err := m.Provider.Look(ctx, cluster.Spec{Name: kindName})
	if errors.Is(err, cluster.ErrForeign) {
		return false, nil
	}
	return err == nil && status.State != cluster.Absent, err
}

// networkGone removes the topology's own container network.
type networkGone struct{ m *Mesh }

func (n networkGone) Look(ctx context.Context) (graph.Change, error) {
	found, err := cluster.InspectNetwork(ctx, n.m.Engine, n.m.Topology.NetworkName())
	switch {
	case errors.Is(err, cluster.ErrNoNetwork):
		return graph.Change{Action: graph.None, Reason: "not there"}, nil
	case err != nil:
		return graph.Change{}, err
	case !found.OwnedBy(n.m.Labels()):
		return graph.Change{Action: graph.None, Reason: "not ours, left alone"}, nil
	}
	return graph.Change{Action: graph.Delete, Reason: found.Subnet.String()}, nil
}

func (n networkGone) Do(ctx context.Context, _ graph.Change) error {
	return cluster.RemoveNetwork(ctx, n.m.Engine, n.m.Topology.NetworkName(), n.m.Labels())
}

// Leftovers names what of the topology is still on this host, and in clusters of the user's own;
// empty after a good Down.
func (m *Mesh) Leftovers(ctx context.Context) ([]string, error) {
	left, err := m.leftInside(ctx)
	if err != nil || m.Provider == nil {
		return left, err
	}
	found, err := m.Provider.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for clusters that are left: %w", err)
	}
	for _, name := range m.known(found) {
		there, err := m.there(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("looking for what is left of %s: %w", name, err)
		}
		if there {
			left = append(left, "kind cluster "+name)
		}
	}
	n, err := cluster.InspectNetwork(ctx, m.Engine, m.Topology.NetworkName())
	switch {
	case err == nil && m.Owner != "" && n.OwnedBy(m.Labels()):
		left = append(left, "container network "+n.Name)
	case err != nil && !errors.Is(err, cluster.ErrNoNetwork):
		return nil, fmt.Errorf("looking for a network that is left: %w", err)
	}
	return left, nil
}

// RemoveState removes the topology's state directory; the root key stays unless asked for.
func (m *Mesh) RemoveState(deleteCerts bool) error { return m.State.Remove(!deleteCerts) }
