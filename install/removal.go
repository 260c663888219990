// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// Removal is a part on its way out of a cluster that stays.
type Removal interface {
	// LookRemove says delete, with what is there of ours, or none. It changes nothing.
	LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error)
	// Remove takes it away if it is ours, and returns when it is gone; absent is success.
	Remove(ctx context.Context, c *kube.Client) error
}

var (
	_ Removal = EastWestGateway{}
	_ Removal = IngressGateway{}
	_ Removal = MeshMTLS{}
	_ Removal = Istiod{}
	_ Removal = Leftovers{}
	_ Removal = IstioBase{}
	_ Removal = CACerts{}
	_ Removal = PullSecret{}
	_ Removal = Namespaces{}
	_ Removal = DroppedNamespaces{}
	_ Removal = SystemNamespace{}
	_ Removal = MetalLB{}
)

// there is the change that deletes what is named; none for nothing.
func there(names ...string) graph.Change {
	if names = slices.DeleteFunc(names, func(name string) bool { return name == "" }); len(names) == 0 {
		return graph.Change{Action: graph.None, Reason: "not there"}
	}
	return graph.Change{Action: graph.Delete, Reason: strings.Join(names, ", ")}
}

// takeAway removes a release if it is ours and waits until its pods have ended; one that was taken
// over is given back. One of somebody else's stays.
func (m Mesh) takeAway(ctx context.Context, c *kube.Client, r Release, pods map[string]string) error {
	cfg, err := r.configure(c)
	if err != nil {
		return err
	}
	last, err := r.last(cfg)
	if err != nil || last == nil || r.ours(last) != nil {
		return r.explain(c, "looking at", err)
	}
	if last.Labels[labelAdopted] != "" {
		m.keeps(ctx, c, "release %s is kept: it was there before and was only taken over", r.Name)
		return r.explain(c, "giving back", r.giveBack(cfg, last))
	}
	if err := r.Remove(ctx, c); err != nil || pods == nil {
		return err
	}
	return awaitNoPods(ctx, c, r, pods)
}

// named is a release of ours in istio-system, as far as removing it goes.
func (m Mesh) named(release string) Release {
	return Release{Name: release, Namespace: topology.SystemNamespace, Labels: m.labels()}
}

// LookRemove implements Removal.
func (i Istiod) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return i.named(i.Topology.IstiodName()).LookRemove(ctx, c)
}

// LookRemove implements Removal.
func (p MeshMTLS) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	ours, err := p.ours(ctx, c)
	if err != nil || !ours {
		return there(), err
	}
	return there("PeerAuthentication " + meshPolicy), nil
}

// LookRemove implements Removal.
func (a CACerts) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	secret, err := readCACerts(ctx, c)
	if err != nil || secret == nil || !owned(secret, a.Mesh) {
		return there(), err
	}
	return there("secret " + topology.CACertsSecret), nil
}

// LookRemove implements Removal.
func (p PullSecret) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	found, err := p.read(ctx, c)
	if err != nil || found == nil || !owned(found, p.Mesh) {
		return there(), err
	}
	return there("secret " + found.Name + " in " + p.Namespace), nil
}

// LookRemove implements Removal.
func (l Leftovers) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	found, err := l.find(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	switch len(found) {
	case 0:
		return there(), nil
	case 1:
		return there(found[0].GetName()), nil
	}
	return there(fmt.Sprintf("%d objects that istiod made by itself", len(found))), nil
}

// LookRemove implements Removal.
func (b IstioBase) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	release, err := b.named(baseRelease).LookRemove(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	names, err := lookAtDefinitions(ctx, c, b.Mesh, istioGroups)
	if release.Needed() {
		names = append([]string{release.Reason}, names...)
	}
	return there(names...), err
}

// lookAtDefinitions says what removeDefinitions would take away.
func lookAtDefinitions(ctx context.Context, c *kube.Client, m Mesh, groups string) (names []string, err error) {
	gone, kept, user, err := definitions(ctx, c, m, groups)
	if len(gone) > 0 {
		names = append(names, fmt.Sprintf("%d definitions", len(gone)))
	}
	if len(kept) > 0 {
		names = append(names, fmt.Sprintf("our labels of %d definitions, which are kept: %s is not ours", len(kept), user))
	}
	return names, err
}

// LookRemove implements Removal.
func (n Namespaces) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return n.lookAway(ctx, c, nil)
}

// LookRemove implements Removal.
func (n SystemNamespace) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	var found corev1.Namespace
	err := c.Get(ctx, client.ObjectKey{Name: topology.SystemNamespace}, &found)
	switch {
	case kube.Absent(err):
		return there(), nil
	case err != nil:
		return graph.Change{}, c.Explain(err, "reading namespace "+topology.SystemNamespace)
	case owned(&found, n.Mesh):
		return there("namespace " + topology.SystemNamespace), nil
	case labelledByUs(&found, topology.LabelNetwork):
		return there("label " + topology.LabelNetwork + " of namespace " + topology.SystemNamespace), nil
	}
	return there(), nil
}

// goneWithin is how long something may take to go: pods end first, then everything else.
const goneWithin = 3 * time.Minute

// awaitGone waits until a namespace is gone; the error says what it waits for.
func awaitGone(ctx context.Context, c *kube.Client, name string) error {
	return poll.Until(ctx, poll.Options{
		What: "namespace " + name + " of " + c.Cluster + " to be gone", Interval: lookEvery, Deadline: goneWithin,
		Observe: func(state string) { graph.State(ctx, "%s", state) },
	}, func(ctx context.Context) (bool, string, error) {
		var found corev1.Namespace
		err := c.Get(ctx, client.ObjectKey{Name: name}, &found)
		if kube.Absent(err) {
			return true, "", nil
		}
		if err != nil {
			return false, "", c.Explain(err, "reading namespace "+name)
		}
		state := "namespace " + name + " is being removed"
		for _, condition := range found.Status.Conditions {
			if condition.Status == corev1.ConditionTrue && condition.Message != "" {
				state = "namespace " + name + ": " + condition.Message
			}
		}
		return false, state, nil
	})
}

// awaitNoPods waits until no pod of a release is left: what still runs may write again what is about
// to be removed.
func awaitNoPods(ctx context.Context, c *kube.Client, r Release, labels map[string]string) error {
	return poll.Until(ctx, poll.Options{
		What: "pods of " + r.Name + " in " + c.Cluster + " to end", Interval: lookEvery, Deadline: goneWithin,
		Observe: func(state string) { graph.State(ctx, "%s", state) },
	}, func(ctx context.Context) (bool, string, error) {
		pods, err := c.Pods(ctx, r.Namespace, labels)
		if err != nil || len(pods) == 0 {
			return err == nil, "", err
		}
		return false, fmt.Sprintf("pod %s is still there", pods[0].Name), nil
	})
}
