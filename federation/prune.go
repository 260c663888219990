// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Prune removes remote secrets of ours in a cluster for clusters that are no peers any more,
// and bindings of ours for clusters that may not read it any more. Those of others stay.
type Prune struct {
	// In is the cluster that is looked through.
	In *kube.Client
	// Peers are the clusters whose remote secrets stay; Readers those whose tokens stay.
	Peers, Readers []string
	// Labels mark what is ours; without any, nothing is pruned.
	Labels map[string]string
}

// Look says delete with the names of what is stale, or none.
func (p Prune) Look(ctx context.Context) (graph.Change, error) {
	stale, err := p.stale(ctx)
	if err != nil {
		return graph.Change{Action: graph.Unknown}, err
	}
	if len(stale) == 0 {
		return graph.Change{Action: graph.None}, nil
	}
	names := make([]string, len(stale))
	fields := make([]graph.FieldChange, len(stale))
	for i, s := range stale {
		names[i] = s.GetName()
		fields[i] = graph.FieldChange{Path: "Secret/" + s.GetName(), Old: "present"}
	}
	return graph.Change{Action: graph.Delete, Reason: "stale: " + strings.Join(names, ", "), Fields: fields}, nil
}

// Do deletes what is stale; absent is success.
func (p Prune) Do(ctx context.Context, _ graph.Change) error {
	stale, err := p.stale(ctx)
	if err == nil {
		err = p.In.Remove(ctx, stale...)
	}
	if err != nil {
		return fmt.Errorf("pruning remote secrets: %w", err)
	}
	return nil
}

func (p Prune) stale(ctx context.Context) ([]client.Object, error) {
	if len(p.Labels) == 0 {
		return nil, nil
	}
	var list corev1.SecretList
	if err := p.In.List(ctx, &list, client.InNamespace(topology.SystemNamespace), client.MatchingLabels(p.Labels)); err != nil {
		return nil, p.In.Explain(err, "listing remote secrets")
	}
	var stale []client.Object
	for i := range list.Items {
		s := &list.Items[i]
		peer, remote := strings.CutPrefix(s.Name, topology.RemoteSecretName(""))
		reader, binding := strings.CutPrefix(s.Name, BindingName(""))
		if (remote && s.Labels[topology.LabelMultiCluster] == "true" && !slices.Contains(p.Peers, peer)) ||
			(binding && !slices.Contains(p.Readers, reader)) {
			stale = append(stale, s)
		}
	}
	return stale, nil
}
