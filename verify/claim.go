// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

const (
	// LabelVerify marks a namespace as a verification's.
	LabelVerify = topology.LabelVerify
	// annotationBy says who is at work, annotationAlive is renewed by a run that lives.
	annotationBy    = "meshfed.io/verify-by"
	annotationAlive = "meshfed.io/verify-alive"
)

const (
	// heartbeat is how often a run says that it lives; a namespace that says nothing for
	// deadAfter, which leaves a loaded API server time for several, was left by a run that was
	// killed. No clock is compared: only change counts.
	heartbeat = 2 * time.Second
	deadAfter = 8 * time.Second
	// longDead is an age at which the clocks of two machines can not differ by mistake.
	longDead = 10 * time.Minute
	// goneWithin bounds the removal of a namespace.
	goneWithin = 60 * time.Second
	// hurry is how long the removal goes on after an interrupt: long enough to ask for it, and
	// less than the five seconds that Kubernetes waits before it begins.
	hurry = 3 * time.Second
)

// claim makes the probe's namespace. Making it is the lock: whoever finds it there and
// alive gets ErrBusy, and what a killed run left is removed first.
func (m *member) claim(ctx context.Context) error {
	if m.client == nil {
		return nil // the problem is noted already
	}
	labels := kube.Labels(m.client.Owned(m.mesh.Topology, m.mesh.Owner), m.injection(), map[string]string{LabelVerify: "true"})
	for range 3 {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.namespace, Labels: labels,
			Annotations: map[string]string{annotationBy: whoami(), annotationAlive: time.Now().UTC().Format(time.RFC3339Nano)}}}
		making, cancel := outlive(ctx, hurry) // who interrupts must not keep it from being known
		err := m.client.Create(making, ns)
		cancel()
		if err == nil {
			m.adopt()
			return nil
		}
		if apierrors.ReasonForError(err) == metav1.StatusReasonUnknown {
			m.mu.Lock()
			m.unheard = ns.Annotations // no answer of the API server: it may be made all the same
			m.mu.Unlock()
		}
		if !apierrors.IsAlreadyExists(err) {
			return m.explain(err, "making the probe namespace "+m.namespace, "")
		}
		if err := m.clear(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w in %s: namespace %s was made again by somebody", ErrBusy, m.name, m.namespace)
}

// injection is the label by which istiod injects sidecars into a namespace.
func (m *member) injection() map[string]string {
	key, value := m.mesh.Topology.Injection()
	return map[string]string{key: value}
}

func whoami() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown host"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), name)
}

// clear removes what a killed run left, and refuses to touch anything else.
func (m *member) clear(ctx context.Context) error {
	ns := &corev1.Namespace{}
	if err := m.client.Get(ctx, types.NamespacedName{Name: m.namespace}, ns); err != nil {
		if kube.Absent(err) {
			return nil
		}
		return m.client.Explain(err, "looking at namespace "+m.namespace)
	}
	if ns.Labels[LabelVerify] != "true" {
		return diag.Hint(fmt.Errorf("namespace %s exists in %s and is not verify's", m.namespace, m.name),
			"name another one in spec.verify.probe.namespace")
	}
	if ns.DeletionTimestamp == nil {
		if err := dead(ctx, m.client, ns); err != nil {
			return err
		}
	}
	m.state(fmt.Sprintf("removing what an earlier verify left in %s", m.name))
	return m.bury(ctx, ns)
}

// beat renews the namespace until ctx ends. A renewal that fails is tried again; a run that
// can not reach the API has nothing to lock. A watch is told when none has come through for so long
// that others take it for dead.
func (m *member) beat(ctx context.Context) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	m.mu.Lock()
	mine := m.claims
	m.mu.Unlock()
	heard, silent := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		m.mu.Lock()
		claimed, c := m.claimed && m.claims == mine, m.client
		m.mu.Unlock()
		if !claimed {
			return
		}
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, annotationAlive, time.Now().UTC().Format(time.RFC3339Nano))
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.namespace}}
		one, cancel := context.WithTimeout(ctx, heartbeat)
		err := c.Patch(one, ns, client.RawPatch(types.MergePatchType, patch))
		cancel()
		switch {
		case err == nil:
			heard, silent = time.Now(), false
		case !silent && time.Since(heard) >= deadAfter:
			silent = true // told once
			select {
			case m.wake <- struct{}{}:
			default: // nobody listens, or has been told already
			}
		}
	}
}

// remove ends the forwards and deletes the namespace if this run made it, or may have.
func (m *member) remove(ctx context.Context) error {
	m.forget("", "")
	m.mu.Lock()
	claimed, unheard := m.claimed, m.unheard
	m.mu.Unlock()
	if !claimed && !m.bears(ctx, unheard) {
		return nil
	}
	if err := m.drop(ctx); err != nil {
		return err
	}
	err := m.gone(ctx, m.namespace)
	if ctx.Err() != nil {
		return nil // interrupted: the API has accepted it and ends it alone
	}
	return err
}

// bears says whether the namespace is there and bears the annotations of a creation whose answer
// was not heard.
func (m *member) bears(ctx context.Context, unheard map[string]string) bool {
	if unheard == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, hurry)
	defer cancel()
	ns := &corev1.Namespace{}
	err := m.client.Get(ctx, types.NamespacedName{Name: m.namespace}, ns)
	return err == nil && ns.Annotations[annotationBy] == unheard[annotationBy] && ns.Annotations[annotationAlive] == unheard[annotationAlive]
}

// drop asks for the end of the namespace. The pods go first and at once: a namespace that
// waits for sidecars to drain takes many seconds.
func (m *member) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goneWithin)
	defer cancel()
	m.hasten(ctx, m.namespace)
	return m.client.Remove(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.namespace}})
}

// hasten removes the pods of a namespace at once. An error only means that the namespace takes longer.
func (m *member) hasten(ctx context.Context, namespace string) {
	_ = m.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(0))
}

// gone blocks until a namespace is not there any more. The namespace controller waits for
// five seconds before it begins (namespaceDeletionGracePeriod).
func (m *member) gone(ctx context.Context, namespace string) error {
	err := poll.Until(ctx, poll.Options{What: "the end of namespace " + namespace + " in " + m.name, Interval: 100 * time.Millisecond, Deadline: goneWithin,
		Observe: func(state string) { m.state(m.name + ": " + state) }},
		func(ctx context.Context) (bool, string, error) {
			now := &corev1.Namespace{}
			err := m.client.Get(ctx, types.NamespacedName{Name: namespace}, now)
			if kube.Absent(err) {
				return true, "", nil
			}
			return false, conditions(now), err
		})
	return diag.Hint(err, fmt.Sprintf("kubectl --context %s get namespace %s -o yaml says what it waits for", m.mesh.Topology.Context(m.name), namespace))
}

// conditions says what a namespace that is being deleted waits for.
func conditions(ns *corev1.Namespace) string {
	for _, c := range ns.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return string(ns.Status.Phase)
}
