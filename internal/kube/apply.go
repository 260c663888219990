// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// Apply writes the objects in order by server-side apply under topology.FieldManager; fields
// that someone else manages are taken over, fields that the objects do not set are left
// alone. It stops at the first error and is idempotent. The objects are not changed.
func (c *Client) Apply(ctx context.Context, objs ...client.Object) error {
	for _, obj := range objs {
		u, err := c.wanted(obj)
		if err != nil {
			return c.Explain(err, "preparing "+c.name(obj))
		}
		err = c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u),
			client.FieldOwner(topology.FieldManager), client.ForceOwnership)
		if err != nil {
			return c.Explain(err, "applying "+c.name(obj))
		}
	}
	return nil
}

// webhookDeadline is how long a webhook whose pods are ready may be out of reach: kube-proxy
// brings a new endpoint to the node within a second or two, ten on a loaded one.
const webhookDeadline = 30 * time.Second

// ApplyValidated is Apply for objects that a webhook of the same mesh validates. A pod is
// ready before kube-proxy leads to it, so a webhook that can not be reached yet is waited for,
// at most 30 s; what it says once it answers is final. So is a kind waited for whose definition
// is established and not among those that the API server lists yet. It blocks and is idempotent.
func (c *Client) ApplyValidated(ctx context.Context, objs ...client.Object) error {
	var answer error // of the API server or the webhook, whichever spoke last
	o := poll.Options{What: "the validating webhook of " + c.Cluster, Interval: 300 * time.Millisecond, Deadline: webhookDeadline}
	err := poll.Until(ctx, o, func(ctx context.Context) (bool, string, error) {
		answer = c.Apply(ctx, objs...)
		if apierrors.IsInternalError(answer) && strings.Contains(answer.Error(), "failed calling webhook") {
			return false, "it can not be reached yet", answer
		}
		if meta.IsNoMatchError(answer) {
			return false, "the kind is not served yet", answer
		}
		return true, "", nil
	})
	if err != nil {
		return err
	}
	return answer
}

// Remove deletes the objects in order, dependants in the background; one that is absent, or
// whose type is, counts as deleted. It goes on after an error and returns all of them. It
// does not wait until finalizers are through.
func (c *Client) Remove(ctx context.Context, objs ...client.Object) error {
	var errs []error
	for _, obj := range objs {
		target, ok := obj.DeepCopyObject().(client.Object)
		if !ok {
			errs = append(errs, fmt.Errorf("removing %T: not an object", obj))
			continue
		}
		err := c.Delete(ctx, target, client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil && !Absent(err) {
			errs = append(errs, c.Explain(err, "removing "+c.name(obj)))
		}
	}
	return errors.Join(errs...)
}

// Owned is what marks an object as ours: the topology's name and the owner id.
func (c *Client) Owned(t *topology.Topology, owner string) map[string]string {
	return map[string]string{
		topology.LabelTopology: t.Metadata.Name,
		topology.LabelOwner:    owner,
	}
}

// Labels merges sets of labels into a new one; later sets win.
func Labels(sets ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

// wanted is obj as a tree of exactly the fields that it sets: with its type, without status,
// nulls and what only the server writes.
func (c *Client) wanted(obj client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return nil, err
	}
	u, err := Manifest(obj)
	if err != nil {
		return nil, err
	}
	u.SetGroupVersionKind(gvk)
	return u, nil
}

// Manifest is obj as Apply sends it: a tree of exactly the fields that it sets. The object says
// its type itself. It is pure.
func Manifest(obj client.Object) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	tree := map[string]any{}
	// This decoder keeps whole numbers whole, as those of objects that are read are.
	if err := utiljson.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	dropNulls(tree)
	delete(tree, "status")
	if meta, ok := tree["metadata"].(map[string]any); ok {
		for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"} {
			delete(meta, field)
		}
	}
	return &unstructured.Unstructured{Object: tree}, nil
}

// dropNulls removes nulls: typed objects write them for times that nobody set, and in an
// apply they would claim the field.
func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)
				continue
			}
			dropNulls(value)
		}
	case []any:
		for _, value := range v {
			dropNulls(value)
		}
	}
}

// name says what obj is: "Gateway istio-system/cross-network-gateway".
func (c *Client) name(obj client.Object) string {
	kind := fmt.Sprintf("%T", obj)
	if gvk, err := apiutil.GVKForObject(obj, c.Scheme()); err == nil {
		kind = gvk.Kind
	}
	if obj.GetNamespace() == "" {
		return kind + " " + obj.GetName()
	}
	return kind + " " + obj.GetNamespace() + "/" + obj.GetName()
}

// live reads the live counterpart of u into a new object; false means that it, or its
// type, is not there.
func (c *Client) live(ctx context.Context, u *unstructured.Unstructured) (*unstructured.Unstructured, bool, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(u.GroupVersionKind())
	err := c.Get(ctx, client.ObjectKeyFromObject(u), found)
	if Absent(err) {
		return nil, false, nil
	}
	return found, err == nil, err
}
