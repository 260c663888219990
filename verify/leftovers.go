// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
)

// sweep removes the namespace of a watch that was killed. One that lives says so within a heartbeat
// and stays; a cluster that can not be asked has somebody else who says so.
func (m *member) sweep(ctx context.Context) error {
	if m.client == nil {
		return nil
	}
	looking, cancel := context.WithTimeout(ctx, m.looking())
	defer cancel()
	ns := &corev1.Namespace{}
	err := m.client.Get(looking, types.NamespacedName{Name: m.mesh.Topology.WatchNamespace()}, ns)
	if err != nil || ns.Labels[LabelVerify] != "true" || ns.DeletionTimestamp != nil {
		return nil
	}
	if err = dead(ctx, m.client, ns); err == nil {
		m.state(fmt.Sprintf("removing what a killed watch left in %s", m.name))
		err = m.bury(ctx, ns)
	}
	if errors.Is(err, ErrBusy) || ctx.Err() != nil {
		return nil
	}
	return err
}

// bury removes a namespace that nobody renews and blocks until it is gone. It returns ErrBusy, and
// leaves it, when somebody has renewed it since it was last seen.
func (m *member) bury(ctx context.Context, ns *corev1.Namespace) error {
	seen := ns.Annotations[annotationAlive]
	for ns.DeletionTimestamp == nil {
		err := m.client.Delete(ctx, ns.DeepCopy(), client.Preconditions{UID: &ns.UID, ResourceVersion: &ns.ResourceVersion})
		if err == nil || kube.Absent(err) {
			break
		}
		if !apierrors.IsConflict(err) {
			return m.client.Explain(err, "removing namespace "+ns.Name)
		}
		err = m.client.Get(ctx, types.NamespacedName{Name: ns.Name}, ns)
		if kube.Absent(err) {
			break
		}
		if err != nil {
			return m.client.Explain(err, "looking at namespace "+ns.Name)
		}
		if ns.Annotations[annotationAlive] != seen {
			return busy(m.client, ns)
		}
	}
	m.hasten(ctx, ns.Name)
	return m.gone(ctx, ns.Name)
}

func busy(c *kube.Client, ns *corev1.Namespace) error {
	return diag.Hint(fmt.Errorf("%w in %s: %s", ErrBusy, c.Cluster, or(ns.Annotations[annotationBy], "by somebody unknown")), "wait until it is over")
}

// dead returns nil when nobody renews a namespace of verify, ErrBusy when somebody does, and another
// error when that could not be seen. ns is then as it was last seen.
func dead(ctx context.Context, c *kube.Client, ns *corev1.Namespace) error {
	seen := ns.Annotations[annotationAlive]
	if t, err := time.Parse(time.RFC3339Nano, seen); err == nil && time.Since(t) > longDead {
		return nil
	}
	var unseen error
	err := poll.Until(ctx, poll.Options{What: "a sign of life in namespace " + ns.Name + " of " + c.Cluster, Interval: heartbeat / 4, Deadline: deadAfter},
		func(context.Context) (bool, string, error) {
			// Not cut off by the deadline of the wait: the last look must be a whole one.
			one, cancel := context.WithTimeout(ctx, lookWithin)
			defer cancel()
			now := &corev1.Namespace{}
			unseen = c.Get(one, types.NamespacedName{Name: ns.Name}, now)
			if kube.Absent(unseen) {
				return true, "", nil
			}
			if unseen != nil {
				return false, "no sign of life", unseen
			}
			*ns = *now
			if ns.DeletionTimestamp == nil && ns.Annotations[annotationAlive] != seen {
				return false, "", poll.Stop(busy(c, ns))
			}
			return ns.DeletionTimestamp != nil, "no sign of life", nil
		})
	if errors.Is(err, poll.ErrDeadline) && unseen == nil {
		return nil // who could not be asked at the end may have spoken
	}
	return err
}
