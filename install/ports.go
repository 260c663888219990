// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// mendPorts puts back the numbers of ports of the release's Services that somebody has edited.
// Server-side apply merges ports by number: it would add ours beside the edited one, and the API
// server refuses two ports of one name
// (https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy).
func (r Release) mendPorts(ctx context.Context, c *kube.Client) error {
	cfg, err := r.configure(c)
	if err != nil {
		return err
	}
	last, err := r.last(cfg)
	if err != nil || last == nil {
		return err
	}
	objects, err := decode(strings.NewReader(last.Manifest))
	if err != nil {
		return fmt.Errorf("reading a release's manifest: %w", err)
	}
	for _, u := range objects {
		if u.GetKind() != "Service" {
			continue
		}
		var want, live corev1.Service
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &want); err != nil {
			return fmt.Errorf("reading Service %s of a release: %w", u.GetName(), err)
		}
		err := c.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: want.Name}, &live)
		if kube.Absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		edited := live.DeepCopy()
		if !renumber(live.Spec.Ports, want.Spec.Ports) {
			continue
		}
		if err := c.Patch(ctx, &live, client.MergeFrom(edited), client.FieldOwner(topology.FieldManager)); err != nil {
			return err
		}
	}
	return nil
}

// renumber gives the ports that are called as wanted ones their numbers, and says whether any
// had another.
func renumber(live, want []corev1.ServicePort) bool {
	changed := false
	for i := range live {
		at := slices.IndexFunc(want, func(w corev1.ServicePort) bool { return w.Name == live[i].Name })
		if at < 0 {
			continue
		}
		protocol := want[at].Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		if live[i].Port != want[at].Port || live[i].Protocol != protocol {
			live[i].Port, live[i].Protocol, changed = want[at].Port, protocol, true
		}
	}
	return changed
}
