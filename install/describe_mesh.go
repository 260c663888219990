// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/topology"
)

// mode reads what is said for the whole mesh: the mode of mutual TLS, and whether it is ambient.
func (d describer) mode(ctx context.Context, f *Found) (err error) {
	if f.Strict, err = meshStrict(ctx, d.c); err != nil {
		return err
	}
	// The label is that of Istio's ztunnel chart (manifests/charts/ztunnel/templates).
	var list appsv1.DaemonSetList
	if err := d.c.List(ctx, &list, client.MatchingLabels{"app": "ztunnel"}); err != nil {
		return d.c.Explain(err, "looking for ztunnel")
	}
	f.Ambient = len(list.Items) > 0
	return nil
}

// nodes reads the region, and the zone, that all nodes share.
func (d describer) nodes(ctx context.Context, f *Found) error {
	var list corev1.NodeList
	if err := d.c.List(ctx, &list); err != nil {
		return d.c.Explain(err, "listing nodes")
	}
	f.Locality = sharedLocality(list.Items)
	return nil
}

func sharedLocality(nodes []corev1.Node) (shared topology.Locality) {
	for i := range nodes {
		l := topology.Locality{Region: nodes[i].Labels[corev1.LabelTopologyRegion], Zone: nodes[i].Labels[corev1.LabelTopologyZone]}
		switch {
		case l.Region == "" || i > 0 && l.Region != shared.Region:
			return topology.Locality{}
		case i == 0:
			shared = l
		case l.Zone != shared.Zone:
			shared.Zone = ""
		}
	}
	return shared
}
