// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/istiod"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

const (
	// lookWithin bounds each look at an API server, a control plane or a proxy.
	lookWithin = 15 * time.Second
	// syncWithin is how long istiod gets to have the peers that it was told of, before what it
	// lacks is judged. The probes start meanwhile.
	syncWithin = 6 * time.Second
)

// gather runs one look in each of some clusters and records it, when some check needs it.
func gather[T any](ctx context.Context, s *session, fact Fact, clusters []string, read func(context.Context, *member) T, store func(*World, map[string]T)) {
	if !s.want[fact] {
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.looking())
	defer cancel()
	all := collectOver(s, clusters, func(m *member) T { return read(ctx, m) })
	s.record(fact, began, func(w *World) { store(w, all) })
}

// blind says why nothing at all can be read of this cluster.
func (m *member) blind() string {
	if m.client == nil {
		return "there is no client for " + m.name
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return m.problem // it would only be waited for
	}
	return ""
}

func (s *session) observeSigners(ctx context.Context) {
	gather(ctx, s, FactSigners, s.world.planes(), func(ctx context.Context, m *member) Signer { return m.signer(ctx) },
		func(w *World, all map[string]Signer) { w.Signers = all })
}

// signer reads cacerts. The private key is looked at to see whether it fits and kept nowhere.
func (m *member) signer(ctx context.Context) Signer {
	if why := m.blind(); why != "" {
		return Signer{Problem: why}
	}
	secret := &corev1.Secret{}
	err := m.client.Get(ctx, types.NamespacedName{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret}, secret)
	switch {
	case kube.Absent(err):
		return Signer{Absent: true}
	case err != nil:
		return Signer{Problem: sentence(m.client.Explain(err, "reading cacerts"))}
	}
	s := Signer{Changed: written(secret)}
	ca, err := certs.ParseCACerts(secret.Data)
	if err != nil {
		s.Invalid = sentence(err)
		return s
	}
	// Each part is kept though the other may be broken.
	s.Intermediate, _ = ca.Intermediate()
	s.Root, _ = ca.RootCertificate()
	if err := ca.Check(time.Now()); err != nil {
		s.Invalid = sentence(err)
	}
	return s
}

// written is when somebody last wrote the data of a secret: labels may change later.
func written(secret *corev1.Secret) time.Time {
	last := secret.CreationTimestamp.Time
	for _, f := range secret.ManagedFields {
		if f.Time != nil && f.FieldsV1 != nil && bytes.Contains(f.FieldsV1.GetRawBytes(), []byte(`"f:data"`)) && f.Time.After(last) {
			last = f.Time.Time
		}
	}
	return last
}

func (s *session) observeRoots(ctx context.Context) {
	gather(ctx, s, FactRoots, s.world.Clusters, func(ctx context.Context, m *member) Roots { return m.roots(ctx) },
		func(w *World, all map[string]Roots) { w.Roots = all })
}

func (m *member) roots(ctx context.Context) Roots {
	r := Roots{Problem: m.blind(), ByNamespace: map[string][]string{}}
	if r.Problem != "" {
		return r
	}
	namespaces := []string{topology.SystemNamespace}
	if m.why() == "" && m.options.Access.probes() {
		namespaces = append(namespaces, m.namespace)
	}
	for _, ns := range namespaces {
		cm := &corev1.ConfigMap{}
		err := m.client.Get(ctx, types.NamespacedName{Namespace: ns, Name: topology.RootCertConfigMap}, cm)
		if kube.Absent(err) {
			r.ByNamespace[ns] = nil
			continue
		}
		if err != nil {
			r.Problem = sentence(m.client.Explain(err, "reading istio-ca-root-cert of "+ns))
			return r
		}
		list, err := certs.ParseCertificates([]byte(cm.Data["root-cert.pem"]))
		if err != nil {
			r.Problem = sentence(fmt.Errorf("reading istio-ca-root-cert of %s: %w", ns, err))
			return r
		}
		for _, c := range list {
			r.ByNamespace[ns] = append(r.ByNamespace[ns], certs.Fingerprint(c))
		}
	}
	return r
}

func (s *session) observeNodes(ctx context.Context) {
	gather(ctx, s, FactNodes, s.world.Clusters, func(ctx context.Context, m *member) Nodes { return m.nodes(ctx) },
		func(w *World, all map[string]Nodes) { w.Nodes = all })
}

func (m *member) nodes(ctx context.Context) Nodes {
	n := Nodes{Problem: m.blind(), Localities: map[string]topology.Locality{}, Closed: map[string]bool{}}
	if n.Problem != "" {
		return n
	}
	var list corev1.NodeList
	if err := m.client.List(ctx, &list); err != nil {
		n.Problem = sentence(m.client.Explain(err, "listing nodes"))
		return n
	}
	for i := range list.Items {
		labels := list.Items[i].Labels
		n.Localities[list.Items[i].Name] = topology.Locality{Region: labels[topology.LabelRegion], Zone: labels[topology.LabelZone]}
		n.Closed[list.Items[i].Name] = closed(&list.Items[i])
	}
	return n
}

// closed says whether a node takes no ordinary pods.
func closed(n *corev1.Node) bool {
	return n.Spec.Unschedulable || slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	})
}

func (s *session) observeControls(ctx context.Context) {
	gather(ctx, s, FactControl, s.world.planes(), func(ctx context.Context, m *member) Control {
		o := poll.Options{What: "istiod in " + m.name + " to have its peers", Interval: 500 * time.Millisecond, Deadline: syncWithin}
		return lastWhole(ctx, o, m.looking(), m.control, func(c Control) bool { return !c.syncing(m.world.peers(m.name)) })
	}, func(w *World, all map[string]Control) { w.Controls = all })
}

// syncing says whether a replica lacks a peer that it was told of: one that has just started,
// or whose connection was cut, has it a moment later.
func (c Control) syncing(peers []string) bool {
	return slices.ContainsFunc(c.Replicas, func(r Istiod) bool {
		return r.Problem == "" && slices.ContainsFunc(peers, func(p string) bool { return c.Secrets[p] != "" && r.Peers[p] != synced })
	})
}

func (m *member) control(ctx context.Context) Control {
	c := Control{Problem: m.blind(), Secrets: map[string]string{}, Expires: map[string]time.Time{}}
	if c.Problem != "" {
		return c
	}
	reads := m.options.Access.secrets()
	if reads {
		err := m.remoteSecrets(ctx, c.Secrets, c.Expires)
		if err != nil && m.options.Access.probes() {
			c.Problem = sentence(err)
			return c
		}
		reads = err == nil
	}
	pods, err := m.client.Pods(ctx, topology.SystemNamespace, map[string]string{"app": "istiod"})
	if err != nil {
		c.Problem = sentence(m.client.Explain(err, "listing istiod"))
		return c
	}
	for i := range pods {
		if istiod.Of(&pods[i], m.mesh.Topology.RevisionName()) && pods[i].DeletionTimestamp == nil && pods[i].Status.Phase == corev1.PodRunning {
			r := m.istiod(ctx, &pods[i])
			c.Replicas = append(c.Replicas, r)
			if !reads {
				// What istiod has taken up is all that can be known of them.
				maps.Copy(c.Secrets, r.secrets)
			}
		}
	}
	return c
}

// remoteSecrets notes the names of remote secrets by cluster, and when what is in them ends. The data, a credential, is kept
// nowhere; only its keys are.
func (m *member) remoteSecrets(ctx context.Context, names map[string]string, expires map[string]time.Time) error {
	var secrets corev1.SecretList
	if err := m.client.List(ctx, &secrets, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{topology.LabelMultiCluster: "true"}); err != nil {
		return m.client.Explain(err, "listing remote secrets")
	}
	for i := range secrets.Items {
		for cluster := range secrets.Items[i].Data {
			names[cluster] = secrets.Items[i].Name
			if ends, err := time.Parse(time.RFC3339, secrets.Items[i].Annotations[topology.AnnotationExpires]); err == nil {
				expires[cluster] = ends.UTC()
			}
		}
	}
	return nil
}

func (m *member) istiod(ctx context.Context, pod *corev1.Pod) Istiod {
	r := Istiod{Pod: pod.Name, Version: istiodVersion(pod)}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Running != nil {
			r.Started = s.State.Running.StartedAt.Time
		}
	}
	page, err := m.page(ctx, topology.SystemNamespace, pod.Name, portIstiod, "/debug/clusterz")
	if err == nil {
		r.Peers, r.secrets, err = parseClusterz(page)
	}
	if err != nil {
		r.Problem = sentence(err)
	}
	return r
}

// parseClusterz reads istiod's list of remote clusters: the sync status and the name of the
// remote secret by cluster.
func parseClusterz(page []byte) (peers, secrets map[string]string, err error) {
	list, err := istiod.ParseClusterz(page)
	if err != nil {
		return nil, nil, err
	}
	peers, secrets = map[string]string{}, map[string]string{}
	for _, c := range list {
		peers[c.ID] = c.SyncStatus
		if c.SecretName != "" {
			secrets[c.ID] = path.Base(c.SecretName)
		}
	}
	return peers, secrets, nil
}
