// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// record is what each cluster says of itself in the ConfigMap kube-system/meshfed-owner, so
// that a command without a state directory or a bundle knows it too.
type record struct {
	topology, owner string
	substitutions   []string
	probe           string
	settings        install.Settings
	// mesh, trustDomain and network are what can not be changed while the cluster lives; empty
	// when an older program wrote the record.
	mesh, trustDomain, network string
	// allocation is what was given to the cluster because the file did not say it.
	allocation topology.Allocation
}

// ownership writes the record.
type ownership struct{ m *Mesh }

// wanted keeps what the record already says of images: a cluster has those of the bundle that
// it was made from, whatever bundle is at hand now. Only the probe is brought later; see
// outdatedProbe.
func (o ownership) wanted(ctx context.Context, c *kube.Client, found *record) (*corev1.ConfigMap, error) {
	images := record{substitutions: o.m.Substitutions(), settings: o.m.install().Settings}
	switch {
	case found != nil && found.probe != "":
		images = *found
		if o.m.outdated(c.Cluster, found) {
			images.probe = o.m.Bundle.ProbeImage()
		}
	case o.m.BuildProbe:
		images.probe = o.m.builtProbe(c.Cluster)
	case o.m.Bundle != nil:
		// Where the file names a probe, a bundle need not have one.
		images.probe = cmp.Or(o.m.Bundle.ProbeImage(), o.m.images(c.Cluster).Probe)
	case o.m.Pull:
		images.probe = o.m.images(c.Cluster).Probe
	}
	substitutions, err := json.Marshal(append([]string{}, images.substitutions...))
	if err != nil {
		return nil, fmt.Errorf("encoding substitutions: %w", err)
	}
	allocation, err := o.allocation(ctx, c.Cluster)
	if err != nil {
		return nil, err
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap,
			Labels: c.Owned(o.m.Topology, o.m.Owner), Annotations: map[string]string{topology.AnnotationAllocation: allocation},
		},
		Data: map[string]string{
			"topology": o.m.Topology.Metadata.Name, "owner": o.m.Owner,
			"mesh": o.m.Topology.Spec.Mesh.ID, "trustDomain": o.m.Topology.Spec.Mesh.TrustDomain,
			"network": o.m.Topology.Cluster(c.Cluster).Network, "substitutions": string(substitutions),
			"probeImage": images.probe, "upstreamEnvoy": strconv.FormatBool(images.settings.UpstreamEnvoy),
		},
	}, nil
}

// allocation is the text of what the cluster lives with.
func (o ownership) allocation(ctx context.Context, name string) (string, error) {
	var ranges topology.AddressRange
	c := o.m.Topology.Cluster(name)
	if !c.IsExisting() && c.LoadBalancer.Type == topology.LoadBalancerMetalLB {
		_, all, err := o.m.addresses(ctx)
		if err != nil && !errors.Is(err, cluster.ErrNoNetwork) {
			return "", err
		}
		ranges = all[name]
	}
	allocation := o.m.Topology.Allocation(name, ranges)
	if c.Ingress != nil && c.Ingress.HostPorts.Any {
		allocation.HTTPPort = 0 // the host has chosen; the container engine knows which
	}
	data, err := json.Marshal(allocation)
	if err != nil {
		return "", fmt.Errorf("encoding what was allocated: %w", err)
	}
	return string(data), nil
}

func (o ownership) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	if o.m.onlyChecked(c.Cluster) {
		return graph.Change{Action: graph.None, Reason: "nothing in it is ours: it is only checked"}, nil
	}
	found, err := readRecord(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	if found != nil && (found.topology != o.m.Topology.Metadata.Name || found.owner != o.m.Owner) {
		return graph.Change{}, diag.Hint(
			fmt.Errorf("the cluster belongs to topology %s, owner %s, and we are %s, owner %s", found.topology, found.owner, o.m.Topology.Metadata.Name, o.m.Owner),
			"choose another metadata.name, or run `meshfed down` where that topology was made")
	}
	wanted, err := o.wanted(ctx, c, found)
	if err != nil {
		return graph.Change{}, err
	}
	return c.Look(ctx, wanted)
}

func (o ownership) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	found, err := readRecord(ctx, c)
	if err != nil {
		return err
	}
	wanted, err := o.wanted(ctx, c, found)
	if err != nil {
		return err
	}
	return c.Apply(ctx, wanted)
}

// readRecord returns nil when the cluster has none.
func readRecord(ctx context.Context, c *kube.Client) (*record, error) {
	var found corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap}, &found)
	if kube.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.Explain(err, "reading whose cluster it is")
	}
	r := &record{
		topology: found.Data["topology"], owner: found.Data["owner"], probe: found.Data["probeImage"],
		mesh: found.Data["mesh"], trustDomain: found.Data["trustDomain"], network: found.Data["network"],
	}
	if text := found.Annotations[topology.AnnotationAllocation]; text != "" {
		if err := json.Unmarshal([]byte(text), &r.allocation); err != nil {
			return nil, diag.Op(diag.Hint(fmt.Errorf("its annotation %s is no allocation: %w", topology.AnnotationAllocation, err), "remove the annotation"), c.Cluster, "reading "+topology.OwnerConfigMap)
		}
	}
	r.settings.UpstreamEnvoy = found.Data["upstreamEnvoy"] == "true"
	if text := found.Data["substitutions"]; text != "" {
		if err := json.Unmarshal([]byte(text), &r.substitutions); err != nil {
			return nil, diag.Op(errors.New("its list of substitutions is no JSON list"), c.Cluster, "reading "+topology.OwnerConfigMap)
		}
	}
	return r, nil
}

// imagesRecorded says whether every selected cluster that answers knows what its images are, or
// gets none from us.
// One that was killed before it was recorded has to be told again.
func (m *Mesh) imagesRecorded(ctx context.Context) bool {
	live, _ := m.Live(ctx) // a cluster that does not answer is its own step's business
	for _, c := range live {
		if r, err := readRecord(ctx, c); err == nil && (r == nil || r.probe == "") && !m.onlyChecked(c.Cluster) {
			return false
		}
	}
	return true
}

// Substituted says what of the live mesh is not what a release would use: from the clusters'
// own record, else from the bundle.
func (m *Mesh) Substituted(ctx context.Context) []string {
	live, _ := m.Live(ctx) // a cluster that does not answer is reported by whoever asks it
	for _, name := range m.Selected() {
		if c, ok := live[name]; ok {
			if r, err := readRecord(ctx, c); err == nil && r != nil {
				return r.substitutions
			}
		}
	}
	return m.Substitutions()
}

// probeImage is the image that verify sends into the mesh, as the clusters' record says: their
// nodes have no other.
func (m *Mesh) probeImage(ctx context.Context, clients map[string]*kube.Client) (string, error) {
	for _, name := range m.Selected() {
		if c, ok := clients[name]; ok {
			r, err := readRecord(ctx, c)
			if err != nil {
				return "", err
			}
			if r != nil && r.probe != "" {
				return r.probe, nil
			}
		}
	}
	if len(m.made()) == 0 && len(m.Selected()) > 0 {
		return m.images(m.Selected()[0]).Probe, nil // clusters that pull what is published
	}
	return "", diag.Hint(errors.New("no cluster says which probe image it has"), "name one in spec.verify.probe.image, or run `meshfed up`")
}
