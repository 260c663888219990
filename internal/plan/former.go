// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// Recall finds out which clusters of the user's own an earlier form of the file had. It reads the
// state directory only; idempotent.
func (m *Mesh) Recall() error {
	recorded, err := m.State.Existing()
	if err != nil {
		return err
	}
	maps.DeleteFunc(recorded, func(name string, _ state.Access) bool { return m.Topology.Cluster(name) != nil })
	m.former = recorded
	return nil
}

// Former are the clusters of the user's own that `up` has written to and that the file has no
// longer, in order of name; Recall finds them.
func (m *Mesh) Former() []string { return slices.Sorted(maps.Keys(m.former)) }

// KeepAccess records by which names the user's own clusters are reached, so that one that the
// file no longer has can still be cleaned. Call it with the lock held, before anything is
// written to them; idempotent.
func (m *Mesh) KeepAccess(ctx context.Context) error {
	recorded, err := m.State.Existing()
	if err != nil {
		return err
	}
	before := maps.Clone(recorded)
	for _, name := range m.selectedExisting() {
		if m.onlyChecked(name) {
			continue // there is nothing that would have to be cleaned
		}
		c, err := m.Client(ctx, name)
		if err != nil {
			return err
		}
		uid, err := identity(ctx, c)
		if err != nil {
			return err
		}
		// Under whatever names it was known before: it has one now.
		maps.DeleteFunc(recorded, func(_ string, a state.Access) bool { return uid != "" && a.UID == uid })
		recorded[name] = m.access(name, c, uid)
	}
	if maps.Equal(before, recorded) {
		return nil
	}
	return m.State.SetExisting(recorded)
}

// access is by which names a cluster of the user's own is reached now.
func (m *Mesh) access(name string, c *kube.Client, uid string) state.Access {
	a := state.Access{Context: c.Context, UID: uid}
	if m.Topology.Kubeconfig(name) != "" {
		a.Kubeconfig, _ = m.KubeconfigOf(name)
	}
	return a
}

// identity is the UID of a cluster: that of a namespace that is made with it and never again.
// Empty is not known.
func identity(ctx context.Context, c *kube.Client) (string, error) {
	var found corev1.Namespace
	err := c.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, &found)
	if kube.Absent(err) {
		return "", nil
	}
	return string(found.UID), c.Explain(err, "reading namespace "+metav1.NamespaceSystem)
}

// errMoved says that a recorded access leads to another cluster than it did.
var errMoved = errors.New("its kubeconfig leads to another cluster now")

// loadAccess makes the client of a cluster that was reached so before, and insists that it is the
// same one.
func loadAccess(ctx context.Context, name string, a state.Access) (*kube.Client, error) {
	c, err := kube.Load(name, a.Kubeconfig, a.Context)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, seconds(existingAnswers))
	defer cancel()
	if err := c.Reachable(bounded); err != nil {
		return nil, err
	}
	uid, err := identity(bounded, c)
	if err == nil && uid != a.UID {
		err = diag.Op(errMoved, name, "looking at context "+a.Context)
	}
	return c, err
}

// loadFormer is loadAccess of a cluster that the file no longer has.
func (m *Mesh) loadFormer(ctx context.Context, name string) (*kube.Client, error) {
	c, err := loadAccess(ctx, name, m.former[name])
	if err != nil {
		return nil, diag.Hint(err, fmt.Sprintf("the file no longer has %s, and it was context %s; if the cluster is no more, remove its entry from %s",
			name, m.former[name].Context, m.State.ExistingFile()))
	}
	return c, nil
}

// sameAsBefore refuses a file that calls another cluster by the name of one that `up` has written
// to: what is in that one would be forgotten. One that can not be reached any more may be.
func (m *Mesh) sameAsBefore(ctx context.Context, name string) error {
	recorded, err := m.State.Existing()
	if err != nil {
		return err
	}
	was, known := recorded[name]
	if !known {
		return nil
	}
	if m.existing(name) {
		c, err := m.Client(ctx, name)
		if err != nil {
			return err
		}
		uid, err := identity(ctx, c)
		if err != nil || uid == was.UID {
			return err
		}
	}
	old, err := loadAccess(ctx, name, was)
	if err != nil {
		return nil //nolint:nilerr // it is gone, or nobody here can reach it
	}
	record, err := readRecord(ctx, old)
	if err != nil || record == nil || record.topology != m.Topology.Metadata.Name || record.owner != m.Owner {
		return nil //nolint:nilerr // nothing of ours is in it
	}
	return diag.Hint(fmt.Errorf("the file means another cluster by the name %s than before: that was context %s, and still holds what `up` put there", name, was.Context),
		"give the new one another name, and `meshfed up --prune-clusters` takes the mesh out of the old one")
}

// oneName refuses two names for one cluster, which contexts may hide.
func (m *Mesh) oneName(ctx context.Context, own []string) error {
	called := map[string]string{}
	for _, name := range own {
		c, err := m.Client(ctx, name)
		if err != nil {
			return err
		}
		uid, err := identity(ctx, c)
		if err != nil {
			return err
		}
		if other := called[uid]; other != "" && uid != "" {
			return diag.Hint(fmt.Errorf("%s and %s are one cluster: their kubeconfigs lead to the same API server", other, name), "write another context for one of them")
		}
		called[uid] = name
	}
	return nil
}

// formerSteps are about clusters of the user's own that the file no longer has. What Up put into
// them stays unless PruneClusters is set.
func (m *Mesh) formerSteps(needs []string) []graph.Step {
	var steps []graph.Step
	for _, name := range m.Former() {
		if contains(m.dropped, name) {
			continue // a kind cluster had that name too, and goes first
		}
		if !m.PruneClusters {
			steps = append(steps, kept(name, "not in the file, kept; `meshfed up --prune-clusters` takes out what `up` put there (context "+m.former[name].Context+")"))
			continue
		}
		steps = append(steps, m.clear(name, needs...)...)
		steps = append(steps, m.forgotten(name, steps[len(steps)-1].ID))
	}
	for _, name := range m.unplaced {
		steps = append(steps, kept(name, "not in the file, and where it is is not recorded here: what `up` put there stays"))
	}
	return steps
}

// kept is the step of a cluster that is nobody's business but its user's.
func kept(name, reason string) graph.Step {
	return graph.Step{
		ID: "cluster@" + name, Cluster: name, Title: "cluster that the file no longer has", Timeout: seconds(10),
		Look: func(context.Context) (graph.Change, error) {
			return graph.Change{Action: graph.None, Reason: reason}, nil
		},
		Do: func(context.Context, graph.Change) error { return nil },
	}
}

// forgotten makes sure that nothing of ours is left in a cluster, and forgets where it is.
func (m *Mesh) forgotten(name string, needs ...string) graph.Step {
	return graph.Step{
		ID: "cluster@" + name, Cluster: name, Title: "cluster that the file no longer has", Needs: needs, Timeout: minutes(2),
		Look: func(context.Context) (graph.Change, error) {
			recorded, err := m.State.Existing()
			if _, known := recorded[name]; err != nil || !known {
				return graph.Change{Action: graph.None, Reason: "nothing of ours is in it"}, err
			}
			return graph.Change{Action: graph.Delete, Reason: "not in the file: it is no member any more, and stays"}, nil
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			left, err := m.leftIn(ctx, name)
			if err != nil {
				return err
			}
			if len(left) > 0 {
				return diag.Op(diag.Hint(fmt.Errorf("left behind: %s", strings.Join(left, ", ")), "`meshfed up --prune-clusters` again, and report it if they stay"), name, "taking the mesh out")
			}
			recorded, err := m.State.Existing()
			if err != nil {
				return err
			}
			delete(recorded, name)
			return m.State.SetExisting(recorded)
		},
	}
}

// leftIn names what is left of the topology in one cluster.
func (m *Mesh) leftIn(ctx context.Context, name string) ([]string, error) {
	c, err := m.Client(ctx, name)
	if err != nil {
		return nil, err
	}
	found, err := install.Ours(ctx, c, m.install())
	if err != nil {
		return nil, fmt.Errorf("looking for what is left in %s: %w", name, err)
	}
	left := make([]string, len(found))
	for i, o := range found {
		left[i] = o.String()
	}
	return left, nil
}

// FindUnplaced finds clusters that others hold credentials of ours for, and of which neither the
// file, nor the container engine, nor the state directory says where they are. It asks those
// clusters that have answered before, once each; what can not be read is its own step's business.
func (m *Mesh) FindUnplaced(ctx context.Context) {
	if m.unplaced = nil; m.Owner == "" || len(m.Clusters) > 0 {
		return
	}
	named := map[string]bool{}
	for _, c := range m.answered() {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
		if c.List(ctx, &list, client.InNamespace(topology.SystemNamespace), client.MatchingLabels(kube.Labels(m.Labels(), map[string]string{topology.LabelMultiCluster: "true"}))) != nil {
			continue
		}
		for i := range list.Items {
			if peer, ok := strings.CutPrefix(list.Items[i].Name, topology.RemoteSecretName("")); ok {
				named[peer] = true
			}
		}
	}
	maps.DeleteFunc(named, func(name string, _ bool) bool {
		_, former := m.former[name]
		return former || m.Topology.Cluster(name) != nil || contains(m.dropped, name)
	})
	m.unplaced = slices.Sorted(maps.Keys(named))
}

// answered are the clients of clusters of the file that have answered.
func (m *Mesh) answered() []*kube.Client {
	var clients []*kube.Client
	for _, name := range m.Topology.Names() {
		known := m.connection(name)
		known.Lock()
		if known.client != nil {
			clients = append(clients, known.client)
		}
		known.Unlock()
	}
	return clients
}

// Unplaced are what FindUnplaced has found, in order of name.
func (m *Mesh) Unplaced() []string { return slices.Clone(m.unplaced) }

// refuseUnplaced refuses to prune what can not be found: with the credentials for it the last
// trace of its name would go.
func (m *Mesh) refuseUnplaced() error {
	if !m.PruneClusters || len(m.unplaced) == 0 {
		return nil
	}
	names := strings.Join(m.unplaced, ", ")
	return diag.Hint(fmt.Errorf("--prune-clusters: where %s is is not recorded in %s, so it can not be cleaned", names, m.State.Path),
		fmt.Sprintf("put %s back into the file and run `meshfed up`, which records it, and take it out again; or leave --prune-clusters out: then only what the others hold of it goes", names))
}
