// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
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
	// readyWithin bounds the start of the probe pods.
	readyWithin = 60 * time.Second
	// rootWithin is how long istiod gets to give the new namespace its root; without it every
	// pod waits for the kubelet's next try to mount it.
	rootWithin = 3 * time.Second
	// launchWithin bounds the creation of one pod: the webhook that adds the sidecar alone may
	// take ten seconds.
	launchWithin = 20 * time.Second
	// writers bounds the objects that are written to one API server at once.
	writers = 8
)

func (m *member) objects() objects {
	return objects{topology: m.mesh.Topology, cluster: m.name, namespace: m.namespace, owned: m.client.Owned(m.mesh.Topology, m.mesh.Owner),
		image: or(m.mesh.Topology.Spec.Verify.Probe.Image, m.mesh.ProbeImage), services: m.services, roles: m.cast(), zone: m.zone, places: m.places}
}

// login is the secret by which the nodes pull the probe and its sidecar, if they need one.
func (m *member) login(ctx context.Context) ([]client.Object, error) {
	name := m.mesh.Topology.Spec.Images.PullSecret
	if name == "" || m.mesh.Login == nil {
		return nil, nil
	}
	data, err := m.mesh.Login(ctx)
	if err != nil {
		// This host need not be the one that has the login: the mesh's own pods have it.
		var own corev1.Secret
		err := m.client.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: name}, &own)
		if kube.Absent(err) || err == nil && own.Type != corev1.SecretTypeDockerConfigJson {
			return nil, nil
		}
		if err != nil {
			return nil, m.client.Explain(err, "reading secret "+name)
		}
		data = own.Data
	}
	return []client.Object{&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: m.namespace, Labels: m.client.Owned(m.mesh.Topology, m.mesh.Owner)},
		Type:       corev1.SecretTypeDockerConfigJson, Data: data,
	}}, nil
}

// start makes everything in the probe's namespace and blocks until all pods are ready. An
// error holds the words of whoever rejected something.
func (m *member) start(ctx context.Context) error {
	if m.why() != "" {
		return nil
	}
	if slices.Contains(m.suites, SuiteLocality) {
		looking, cancel := context.WithTimeout(ctx, m.looking())
		m.places = m.nodes(looking).zones() // nodes that can not be listed are reported by observeNodes
		cancel()
	}
	o := m.objects()
	if o.image == "" {
		return diag.Hint(fmt.Errorf("no probe image is known"), "name one in spec.verify.probe.image or use a bundle")
	}
	login, err := m.login(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.refused = nil
	m.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(writers)
	for _, obj := range append(login, o.before(m.suites)...) {
		g.Go(func() error { return m.client.ApplyValidated(ctx, obj) })
	}
	for _, obj := range o.opening() {
		g.Go(func() error {
			m.refuse(m.client.ApplyValidated(ctx, obj))
			return nil
		})
	}
	rooted := make(chan struct{})
	go func() {
		defer close(rooted)
		m.awaitRoot(ctx)
	}()
	if err := g.Wait(); err != nil {
		return err
	}
	<-rooted
	for _, r := range m.cast() {
		g.Go(func() error { return m.launch(ctx, r) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := m.injected(ctx); err != nil {
		return err
	}
	return m.unready(ctx, m.awaitReady(ctx, m.cast()...))
}

// awaitRoot gives up quietly: pods come up later all the same, or say what they miss.
func (m *member) awaitRoot(ctx context.Context) {
	_ = poll.Until(ctx, poll.Options{What: topology.RootCertConfigMap, Interval: 50 * time.Millisecond, Deadline: rootWithin},
		func(ctx context.Context) (bool, string, error) {
			err := m.client.Get(ctx, types.NamespacedName{Namespace: m.namespace, Name: topology.RootCertConfigMap}, &corev1.ConfigMap{})
			return err == nil, "", err
		})
}

// launch creates one probe pod. Admission may reject it in the first moments for what comes
// by itself (the account's controller, a webhook's endpoints): then it is tried again.
func (m *member) launch(ctx context.Context, r role) error {
	err := poll.Until(ctx, poll.Options{What: fmt.Sprintf("the %s in %s to be accepted", r, m.name), Interval: 200 * time.Millisecond, Deadline: launchWithin},
		func(ctx context.Context) (bool, string, error) {
			pod, err := m.objects().pod(m.name, r)
			if err != nil {
				return false, "", poll.Stop(err)
			}
			err = m.client.Create(ctx, pod)
			switch {
			case err == nil:
				m.know(pod)
				return true, "", nil
			case apierrors.IsAlreadyExists(err):
				return m.accepted(ctx, pod)
			case final(err):
				return false, "", poll.Stop(err)
			}
			return false, "", err
		})
	return m.explain(err, fmt.Sprintf("starting the %s", r), r)
}

// accepted looks at a pod that is there already: it is ours when an earlier try was accepted
// and only its answer got lost; one that is on its way out is waited for, and one that has ended,
// as when its node evicted it, is removed: it never runs again.
func (m *member) accepted(ctx context.Context, pod *corev1.Pod) (bool, string, error) {
	there := &corev1.Pod{}
	if err := m.client.Get(ctx, client.ObjectKeyFromObject(pod), there); err != nil {
		return false, "", err
	}
	switch {
	case there.DeletionTimestamp != nil:
		return false, "the one before is still going", nil
	case there.Status.Phase == corev1.PodFailed || there.Status.Phase == corev1.PodSucceeded:
		return false, "the one before has ended", m.client.Delete(ctx, there, client.GracePeriodSeconds(0))
	}
	m.know(there)
	return true, "", nil
}

// awaitReady blocks until the pods of some roles are ready and remembers them.
func (m *member) awaitReady(ctx context.Context, roles ...role) error {
	err := poll.Until(ctx, poll.Options{What: "the probe pods in " + m.name, Interval: 150 * time.Millisecond, Deadline: readyWithin, Observe: func(state string) {
		m.state(m.name + ": " + state)
	}}, func(ctx context.Context) (bool, string, error) {
		pods, err := m.list(ctx)
		if err != nil {
			return false, "", err
		}
		var missing []string
		ready := 0
		for _, r := range roles {
			i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Labels[labelRole] == string(r) })
			switch {
			case i < 0:
				missing = append(missing, string(r)+" is gone")
			case kube.PodReady(&pods[i]):
				ready++
				m.know(&pods[i])
			default:
				missing = append(missing, string(r)+": "+kube.PodReason(&pods[i]))
			}
		}
		return ready == len(roles), fmt.Sprintf("%d of %d probe pods ready; %s", ready, len(roles), strings.Join(missing, "; ")), nil
	})
	if err != nil {
		return m.client.Explain(err, "starting the probes")
	}
	return nil
}

func (m *member) list(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := m.client.List(ctx, &pods, client.InNamespace(m.namespace)); err != nil {
		return nil, m.client.Explain(err, "listing the probe pods")
	}
	return pods.Items, nil
}

// observeProbes records which pods stand behind which service, by the API.
func (s *session) observeProbes(ctx context.Context, began time.Time) {
	all := collect(s, func(m *member) Probes { return m.probes(ctx) })
	s.record(FactProbes, began, func(w *World) { w.Probes = all })
}

func (m *member) probes(ctx context.Context) Probes {
	if why := m.why(); why != "" {
		return Probes{Problem: why}
	}
	ctx, cancel := context.WithTimeout(ctx, m.looking())
	defer cancel()
	pods, err := m.list(ctx)
	if err != nil {
		return Probes{Problem: sentence(err)}
	}
	p := Probes{Ready: map[string]int{}}
	for i := range pods {
		pod := &pods[i]
		ready := kube.PodReady(pod)
		p.Pods = append(p.Pods, ProbePod{Name: pod.Name, UID: string(pod.UID), Node: pod.Spec.NodeName, Address: pod.Status.PodIP, Ready: ready, State: kube.PodReason(pod)})
		for _, s := range m.services {
			if ready && pod.Labels[prefixService+s.Name] == "true" {
				p.Ready[s.Name]++
			}
		}
	}
	return p
}
