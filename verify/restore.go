// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
)

// Restore undoes every disruptive fault that a run left which lives no more, in all clusters at
// once, and returns those that it undid. state is told what is being done; it may be nil.
//
// A fault whose deadline has not passed may be somebody's who is at work: then the error is an
// ErrBusy, after seconds at most, and nothing of that cluster is touched. It is idempotent, and
// two of them do not disturb each other.
func Restore(ctx context.Context, clients map[string]*kube.Client, network Network, state func(string)) ([]Fault, error) {
	var mu sync.Mutex
	var restored []Fault
	var errs []error
	var g errgroup.Group
	for _, name := range sortedKeys(clients) {
		if clients[name] == nil {
			continue
		}
		g.Go(func() error {
			done, err := restore(ctx, clients[name], network, func(text string) {
				mu.Lock()
				defer mu.Unlock()
				if state != nil {
					state(text)
				}
			})
			mu.Lock()
			defer mu.Unlock()
			restored, errs = append(restored, done...), append(errs, err)
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	slices.SortFunc(restored, func(a, b Fault) int {
		return slices.Compare([]string{a.Cluster, a.Object}, []string{b.Cluster, b.Object})
	})
	return restored, errors.Join(errs...)
}

// restore is Restore of one cluster.
func restore(ctx context.Context, c *kube.Client, network Network, state func(string)) ([]Fault, error) {
	found, err := Faults(ctx, c)
	if err != nil && !errors.Is(err, errJournal) {
		return nil, ctx.Err() // a cluster that can not be asked has somebody who says so
	}
	if err != nil {
		return nil, err
	}
	var done []Fault
	for _, f := range found {
		if time.Now().Before(f.Until) {
			state(fmt.Sprintf("%s: %s; looking whether %s still lives", c.Cluster, f, f.By))
			if err := f.orphaned(ctx, c); err != nil {
				return done, err
			}
		}
		state(fmt.Sprintf("%s: restoring %s", c.Cluster, f.Object))
		if err := f.undo(ctx, c, network); err != nil {
			return done, diag.Hint(fmt.Errorf("%s since %s: %w", f, f.By, err), f.byHand(c.Cluster))
		}
		done = append(done, f)
	}
	return done, nil
}

// orphaned returns an ErrBusy when the run that made the fault lives, nil when it does not.
func (f Fault) orphaned(ctx context.Context, c *kube.Client) error {
	ns := &corev1.Namespace{}
	err := c.Get(ctx, types.NamespacedName{Name: f.Namespace}, ns)
	if kube.Absent(err) || err == nil && ns.DeletionTimestamp != nil {
		return nil
	}
	if err != nil {
		return c.Explain(err, "looking at namespace "+f.Namespace)
	}
	return dead(ctx, c, ns)
}

// byHand says how to take a fault back without this program.
func (f Fault) byHand(cluster string) string {
	if f.Kind == FaultNetwork {
		return fmt.Sprintf("the rules in the nodes of %s end by themselves at %s", cluster, f.Until.Format(time.RFC3339))
	}
	target, err := f.target()
	if err != nil {
		return "look at annotation " + AnnotationFault
	}
	return fmt.Sprintf("by hand, in %s: kubectl -n %s scale deployment %s --replicas %d; kubectl -n %[2]s annotate deployment %[3]s %[5]s-",
		cluster, target.GetNamespace(), target.GetName(), f.Replicas, AnnotationFault)
}
