// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
)

// readsAtOnce bounds how many objects of a release, or secrets of clusters, are read side by side.
const readsAtOnce = 8

// drift compares the fields that a release's manifest sets with the live objects. What
// moves by itself does not count: see moves.
func drift(ctx context.Context, c *kube.Client, manifest, namespace string) (graph.Change, error) {
	objects, err := decode(strings.NewReader(manifest))
	if err != nil {
		return graph.Change{}, fmt.Errorf("reading a release's manifest: %w", err)
	}
	found := make([][]graph.FieldChange, len(objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, u := range objects {
		group.Go(func() error {
			fields, err := driftOf(ctx, c, u, namespace)
			found[i] = fields
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return graph.Change{}, err
	}
	var fields []graph.FieldChange
	for _, each := range found {
		fields = append(fields, each...)
	}
	if len(fields) == 0 {
		return graph.Change{Action: graph.None}, nil
	}
	reason := fmt.Sprintf("%d fields differ from what was installed", len(fields))
	if len(fields) == 1 {
		reason = fields[0].Path + " differs from what was installed"
	}
	return graph.Change{Action: graph.Update, Reason: reason, Fields: fields}, nil
}

func driftOf(ctx context.Context, c *kube.Client, u *unstructured.Unstructured, namespace string) ([]graph.FieldChange, error) {
	name := u.GetKind() + "/" + u.GetName()
	if u.GetNamespace() == "" {
		// Charts leave the namespace out where it is the release's own.
		if mapping, err := c.RESTMapper().RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version); err == nil && mapping.Scope.Name() == "namespace" {
			u.SetNamespace(namespace)
		}
	}
	all, exists, err := c.Drift(ctx, u)
	if err != nil {
		return nil, err
	}
	if !exists {
		return []graph.FieldChange{{Path: name, Old: "", New: "present"}}, nil
	}
	var fields []graph.FieldChange
	for _, field := range all {
		if moves(u.GetKind(), field) {
			continue
		}
		if field.Path == "spec.replicas" {
			scaled, err := autoscaled(ctx, c, u)
			if err != nil {
				return nil, err
			}
			if scaled {
				continue
			}
		}
		field.Path = name + " " + field.Path
		fields = append(fields, field)
	}
	return fields, nil
}

// moves is the closed list of differences that are nobody's change: zero values, which the
// API server does not store; the failure policy of validating webhooks, which istiod turns
// from Ignore to Fail when it is ready; and the certificates that it puts into webhooks.
// Replicas under an autoscaler are not among them: see autoscaled.
func moves(kind string, field graph.FieldChange) bool {
	if field.Old == "" && (field.New == "false" || field.New == "0") {
		return true
	}
	if strings.HasSuffix(field.Path, "caBundle") {
		return true
	}
	return kind == "ValidatingWebhookConfiguration" && strings.HasSuffix(field.Path, "failurePolicy") && field.New == "Ignore"
}

// autoscaled says whether an autoscaler decides how many replicas a workload has: one of the
// chart's, or one that somebody has put beside it. It lists the autoscalers of the namespace, and
// is asked only when the number differs.
func autoscaled(ctx context.Context, c *kube.Client, u *unstructured.Unstructured) (bool, error) {
	var list autoscalingv2.HorizontalPodAutoscalerList
	if err := c.List(ctx, &list, client.InNamespace(u.GetNamespace())); err != nil {
		return false, c.Explain(err, "listing autoscalers")
	}
	for i := range list.Items {
		target := list.Items[i].Spec.ScaleTargetRef
		if target.Kind == u.GetKind() && target.Name == u.GetName() {
			return true, nil
		}
	}
	return false, nil
}
