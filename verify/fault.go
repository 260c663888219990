// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// AnnotationFault is the journal of a disruptive fault, on the very object that it changes: a
// Fault as JSON. Whoever finds it can undo the fault, with nothing else at hand.
const AnnotationFault = "meshfed.io/fault"

// Names of the disruptive faults.
const (
	FaultGateway = "gateway"
	FaultNetwork = "network"
)

// undoWithin bounds the tries to make or undo a fault, so that a refusal is reported and not waited for.
const undoWithin = 20 * time.Second

// Fault is one entry of the journal: what was changed, and what it was before.
type Fault struct {
	// Kind is FaultGateway or FaultNetwork.
	Kind string `json:"kind"`
	// Cluster and Object that carry the entry: "Deployment istio-system/istio-eastwestgateway",
	// "Node usmesh-west-worker".
	Cluster string `json:"cluster"`
	Object  string `json:"object"`
	// Replicas that the Deployment had; of a gateway fault only.
	Replicas int32 `json:"replicas,omitempty"`
	// Cut are the clusters from which nothing comes through; of a network fault only.
	Cut []string `json:"cut,omitempty"`
	// Until is the deadline: no run needs the fault longer. A network fault ends by itself then.
	Until time.Time `json:"until"`
	// By says who made it, Namespace where that run shows that it lives.
	By        string `json:"by"`
	Namespace string `json:"namespace"`
}

// String says what is the matter, without who did it: "the east-west gateway of east is scaled
// to 0, it had 1 replica".
func (f Fault) String() string {
	if f.Kind == FaultNetwork {
		return fmt.Sprintf("%s of %s lets nothing through from %s", f.Object, f.Cluster, strings.Join(f.Cut, ", "))
	}
	return fmt.Sprintf("%s of %s is scaled to 0, it had %s", f.Object, f.Cluster, someReplicas(f.Replicas))
}

// Told is String with who did it, until when it is meant to be, and who takes it back.
func (f Fault) Told() string {
	return fmt.Sprintf("%s (verify --disruptive, %s, until %s); when that run has ended, `meshfed verify` or `meshfed up` restores it first",
		f, f.By, f.Until.UTC().Format(time.RFC3339))
}

func someReplicas(replicas int32) string {
	if replicas == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", replicas)
}

// Undone says that the fault was taken back.
func (f Fault) Undone() string {
	if f.Kind == FaultNetwork {
		return fmt.Sprintf("%s of %s lets everything through again", f.Object, f.Cluster)
	}
	return fmt.Sprintf("%s of %s has its %s again", f.Object, f.Cluster, someReplicas(f.Replicas))
}

// Network cuts a cluster off from others, without touching them, and lets it meet them again.
type Network interface {
	// Unable says why this can not be done to a cluster; "" when it can.
	Unable(cluster string) string
	// Cut makes the nodes of a cluster drop what comes from the others. It must end by itself
	// after lasts, whatever happens to this process. It is idempotent.
	Cut(ctx context.Context, cluster string, others []string, lasts time.Duration) error
	// Mend ends the cut at once. It is idempotent, and content where there is none.
	Mend(ctx context.Context, cluster string) error
}

// errJournal means that an entry is there and can not be read, errOthers that it is another run's.
var (
	errJournal = errors.New("the journal of a disruptive fault can not be read")
	errOthers  = errors.New("carries another fault already")
)

// same says whether two entries are of one fault.
func (f Fault) same(other Fault) bool { return f.By == other.By && f.Until.Equal(other.Until) }

// Faults reads the journal of one cluster. It changes nothing. What the user may not list is
// left out: who may not read it can not have been meant to restore it.
func Faults(ctx context.Context, c *kube.Client) ([]Fault, error) {
	var all []Fault
	take := func(kind string, obj client.Object) error {
		text, ok := obj.GetAnnotations()[AnnotationFault]
		if !ok {
			return nil
		}
		var f Fault
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return diag.Hint(fmt.Errorf("%w: annotation %s of %s in %s: %w", errJournal, AnnotationFault, objectName(kind, obj), c.Cluster, err),
				"somebody has changed it; see to it that the object is as it should be, and remove the annotation")
		}
		f.Cluster, f.Object = c.Cluster, objectName(kind, obj) // they are what was found, whatever it says
		all = append(all, f)
		return nil
	}
	var gateways appsv1.DeploymentList
	if err := c.List(ctx, &gateways, client.InNamespace(topology.SystemNamespace)); err != nil && !apierrors.IsForbidden(err) {
		return nil, c.Explain(err, "listing Deployments")
	}
	for i := range gateways.Items {
		if err := take("Deployment", &gateways.Items[i]); err != nil {
			return nil, err
		}
	}
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil && !apierrors.IsForbidden(err) {
		return nil, c.Explain(err, "listing nodes")
	}
	for i := range nodes.Items {
		if err := take("Node", &nodes.Items[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func objectName(kind string, obj client.Object) string {
	if obj.GetNamespace() == "" {
		return kind + " " + obj.GetName()
	}
	return kind + " " + obj.GetNamespace() + "/" + obj.GetName()
}

// target is the object that an entry is about, empty but for its name.
func (f Fault) target() (client.Object, error) {
	kind, name, _ := strings.Cut(f.Object, " ")
	namespace, short, within := strings.Cut(name, "/")
	switch {
	case kind == "Deployment" && within:
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: short}}, nil
	case kind == "Node" && !within:
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, nil
	}
	return nil, fmt.Errorf("the journal names %q, which is neither a Deployment nor a Node", f.Object)
}

// journal writes the entry onto its object. Of a gateway the same write takes it away, so that
// there is no moment at which one is true and not the other. Replicas is set to what is
// replaced. An object that carries somebody else's entry is refused. It may be tried again.
func (f *Fault) journal(ctx context.Context, c *kube.Client) error {
	obj, err := f.target()
	if err != nil {
		return poll.Stop(err)
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		return c.Explain(err, "reading "+f.Object)
	}
	if text, ok := obj.GetAnnotations()[AnnotationFault]; ok {
		var there Fault
		if json.Unmarshal([]byte(text), &there) != nil || !f.same(there) {
			return poll.Stop(fmt.Errorf("%s of %s %w: %s", f.Object, f.Cluster, errOthers, text))
		}
		f.Replicas = there.Replicas // an earlier try whose answer got lost
		return nil
	}
	patch := lockedPatch(obj)
	if d, ok := obj.(*appsv1.Deployment); ok {
		if f.Replicas = replicas(d); f.Replicas == 0 {
			return poll.Stop(fmt.Errorf("%s of %s has no replicas, so it can not go away", f.Object, f.Cluster))
		}
		none := int32(0)
		d.Spec.Replicas = &none
	}
	text, err := json.Marshal(f)
	if err != nil {
		return poll.Stop(fmt.Errorf("writing the journal: %w", err))
	}
	annotate(obj, string(text))
	return c.Explain(c.Patch(ctx, obj, patch), "writing the fault to "+f.Object)
}

// replicas that a Deployment shall have.
func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1 // the API server's default
	}
	return *d.Spec.Replicas
}

// lockedPatch is a patch from what obj is now, which the API server refuses once somebody else
// has changed it: of two that restore, one does.
func lockedPatch(obj client.Object) client.Patch {
	before := obj.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy of one
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}

func annotate(obj client.Object, text string) {
	all := obj.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	if all[AnnotationFault] = text; text == "" {
		delete(all, AnnotationFault)
	}
	obj.SetAnnotations(all)
}

// undo takes a fault back and its entry away, in this order or in one write. It blocks for at
// most undoWithin, is idempotent, and may be run by several at once. Replicas that somebody else
// has set meanwhile stay as they are.
func (f Fault) undo(ctx context.Context, c *kube.Client, network Network) error {
	if f.Kind == FaultNetwork {
		if err := f.reconnect(ctx, network); err != nil {
			return err
		}
	}
	return poll.Until(ctx, poll.Options{What: f.Object + " of " + f.Cluster + " to be restored", Interval: 300 * time.Millisecond, Deadline: undoWithin},
		func(ctx context.Context) (bool, string, error) {
			err := f.erase(ctx, c)
			return err == nil, "", err
		})
}

// erase writes the old value and removes the entry.
func (f Fault) erase(ctx context.Context, c *kube.Client) error {
	obj, err := f.target()
	if err != nil {
		return poll.Stop(err)
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		if kube.Absent(err) {
			return nil // it went, and the fault with it
		}
		return c.Explain(err, "reading "+f.Object)
	}
	text, ok := obj.GetAnnotations()[AnnotationFault]
	if !ok {
		return nil // somebody else has restored it
	}
	// What stands there counts: the answer to its writing may have got lost.
	var there Fault
	if err := json.Unmarshal([]byte(text), &there); err != nil {
		return poll.Stop(fmt.Errorf("reading annotation %s of %s: %w", AnnotationFault, f.Object, err))
	}
	if !f.same(there) {
		return nil // another run's, made since this one was restored
	}
	patch := lockedPatch(obj)
	if d, ok := obj.(*appsv1.Deployment); ok && d.Spec.Replicas != nil && *d.Spec.Replicas == 0 {
		d.Spec.Replicas = &there.Replicas
	}
	annotate(obj, "")
	return c.Explain(c.Patch(ctx, obj, patch), "restoring "+f.Object)
}

// reconnect ends a cut where that is possible from here, and is content with one that has ended.
func (f Fault) reconnect(ctx context.Context, network Network) error {
	why := "no container engine is at hand"
	if network != nil {
		if why = network.Unable(f.Cluster); why == "" {
			return network.Mend(ctx, f.Cluster)
		}
	}
	if time.Now().After(f.Until) {
		return nil
	}
	return fmt.Errorf("%s, and that can not be ended from here (%s): it ends by itself at %s", f, why, f.Until.Format(time.RFC3339))
}
