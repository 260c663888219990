// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// noon is the time of these tests.
func noon() time.Time { return time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) }

func newRoot(t *testing.T, name string) *certs.Root {
	t.Helper()
	root, err := certs.NewRoot(certs.Options{CommonName: name, Lifetime: 87600 * time.Hour, Now: noon()})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// authority is the part under test, with the given root in the state directory.
func authority(root *certs.Root) CACerts {
	m := twoClusters()
	m.Topology.Spec.Certificates.Intermediate.Lifetime = topology.Duration(17520 * time.Hour)
	return CACerts{
		Mesh: m, RootFile: "/state/usmesh/pki/root.pem", Now: noon,
		Root: func() (*certs.Root, error) {
			if root == nil {
				return nil, fmt.Errorf("reading the root: %w", fs.ErrNotExist)
			}
			return root, nil
		},
	}
}

// secretUnder is a secret cacerts that was made at noon.
func secretUnder(t *testing.T, root *certs.Root, lifetime time.Duration) *corev1.Secret {
	t.Helper()
	issued, err := root.NewCACerts(certs.Options{CommonName: "west", Lifetime: lifetime, Now: noon()})
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret, CreationTimestamp: metav1.NewTime(noon())},
		Data:       issued.Data(),
	}
}

func systemPod(name, app string, created time.Time) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: topology.SystemNamespace, Name: name, CreationTimestamp: metav1.NewTime(created),
		Labels: map[string]string{"app": app, "istio.io/rev": "default"},
	}}
}

func readyDeployment(name string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: name},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
		Status:     appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1},
	}
}

func TestCACertsAreIssuedOnceUnderTheRoot(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	a := authority(root)
	c := kubetest.New(t, "west")
	lookAt(t, c.Client, authority(nil), graph.Create)
	change := lookAt(t, c.Client, a, graph.Create)
	if len(change.Fields) != 1 || change.Fields[0].New != certs.Fingerprint(root.Certificate) {
		t.Errorf("the plan does not name the root: %v", change.Fields)
	}
	doIt(t, c.Client, a)
	lookAt(t, c.Client, a, graph.None)
	var secret corev1.Secret
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret}, &secret); err != nil {
		t.Fatal(err)
	}
	found, err := certs.ParseCACerts(secret.Data)
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := found.Intermediate()
	if err != nil {
		t.Fatal(err)
	}
	if got := intermediate.Subject.CommonName; got != "west.intermediate.usmesh" {
		t.Errorf("common name %q", got)
	}
	if !owned(&secret, a.Mesh) {
		t.Errorf("labels: %v", secret.Labels)
	}
	before := len(c.Writes())
	doIt(t, c.Client, a)
	if writes := c.Writes(); len(writes) != before {
		t.Errorf("a second Do wrote: %v", writes[before:])
	}
}

func TestCACertsUnderAnotherRootAreNotTouched(t *testing.T) {
	t.Parallel()
	ours, theirs := newRoot(t, "ours"), newRoot(t, "theirs")
	secret := secretUnder(t, theirs, time.Hour*9999)
	key := string(secret.Data["ca-key.pem"])
	c := kubetest.New(t, "west", secret)
	a := authority(ours)
	_, lookErr := a.Look(t.Context(), c.Client)
	for name, err := range map[string]error{"Look": lookErr, "Do": a.Do(t.Context(), c.Client, graph.Change{})} {
		if err == nil {
			t.Fatalf("%s accepted another root", name)
		}
		for _, want := range []string{"west", "/state/usmesh/pki/root.pem", certs.Fingerprint(ours.Certificate), certs.Fingerprint(theirs.Certificate)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %s", name, err, want)
			}
		}
		hints := strings.Join(diag.Hints(err), "\n")
		if !strings.Contains(hints, "kubectl -n istio-system delete secret cacerts") {
			t.Errorf("%s: hint %q", name, hints)
		}
		if strings.Contains(err.Error()+hints, strings.TrimSpace(key[30:60])) {
			t.Errorf("%s shows the key", name)
		}
	}
	if writes := c.Writes(); len(writes) > 0 {
		t.Errorf("wrote: %v", writes)
	}
}

func TestCACertsThatAreThereButWrong(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	broken := secretUnder(t, root, 9999*time.Hour)
	delete(broken.Data, "ca-key.pem")
	swapped := secretUnder(t, root, 9999*time.Hour)
	swapped.Data["ca-key.pem"] = secretUnder(t, root, 9999*time.Hour).Data["ca-key.pem"]
	for name, tc := range map[string]struct {
		part   CACerts
		secret *corev1.Secret
		want   string
	}{
		"a key is missing":                {authority(root), broken, "ca-key.pem"},
		"a key of another certificate":    {authority(root), swapped, "ca-key.pem"},
		"the root is gone from the state": {authority(nil), secretUnder(t, root, 9999*time.Hour), "there is no root in /state/usmesh/pki/root.pem"},
		"expired": {func() CACerts {
			a := authority(root)
			a.Now = func() time.Time { return noon().Add(3 * time.Hour) }
			return a
		}(), secretUnder(t, root, 2*time.Hour), "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west", tc.secret)
			_, err := tc.part.Look(t.Context(), c.Client)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v does not say %q", err, tc.want)
			}
			if len(diag.Hints(err)) == 0 {
				t.Error("no hint")
			}
		})
	}
}

func TestCACertsWarnBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	c := kubetest.New(t, "west", secretUnder(t, root, 10*24*time.Hour))
	change := lookAt(t, c.Client, authority(root), graph.None)
	if !strings.Contains(change.Reason, "expires in 10 days, on 2030-01-11") {
		t.Errorf("reason: %q", change.Reason)
	}
}

// TRU003: istiod reads cacerts when it starts.
func TestWhatIsOlderThanCACertsIsRestarted(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	a := authority(root)
	early, late := noon().Add(-time.Minute), noon().Add(time.Minute)
	webhook := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: injectorWebhook},
		Webhooks:   []admissionv1.MutatingWebhook{{Name: "a", ClientConfig: admissionv1.WebhookClientConfig{CABundle: certs.EncodeCertificates(root.Certificate)}}},
	}
	user := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", CreationTimestamp: metav1.NewTime(early)},
		Spec:       corev1.PodSpec{InitContainers: []corev1.Container{{Name: "istio-proxy"}}},
	}
	c := kubetest.New(t, "west", secretUnder(t, root, 9999*time.Hour), webhook, given(root), user,
		systemPod("istiod-1", "istiod", early), systemPod("ew-1", topology.EastWestGateway, early),
		systemPod("in-1", topology.IngressGateway, late),
		readyDeployment("istiod"), readyDeployment(topology.EastWestGateway), readyDeployment(topology.IngressGateway))
	change := lookAt(t, c.Client, a, graph.Update)
	if !strings.Contains(change.Reason, "istiod started before cacerts") {
		t.Errorf("reason: %q", change.Reason)
	}
	var states []string
	ctx := graph.WithState(t.Context(), func(state string) { states = append(states, state) })
	if err := a.Do(ctx, c.Client, change); err != nil {
		t.Fatal(err)
	}
	want := []string{"patch Deployment istio-system/istiod", "patch Deployment istio-system/istio-eastwestgateway"}
	if got := c.Writes(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("writes: %q, want %q", got, want)
	}
	if all := strings.Join(states, "\n"); !strings.Contains(all, "authority before: 1, the first is shop/cart") {
		t.Errorf("the user's pod is not mentioned: %s", all)
	}
}

// given is what istiod gives to workloads.
func given(root *certs.Root) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.RootCertConfigMap},
		Data:       map[string]string{"root-cert.pem": string(certs.EncodeCertificates(root.Certificate))},
	}
}

// cacerts that were edited to another root and back leave an istiod with the other one.
func TestAnIstiodThatGivesOutAnotherRootIsRestarted(t *testing.T) {
	t.Parallel()
	root, late := newRoot(t, "root"), noon().Add(time.Minute)
	for name, tc := range map[string]struct {
		given *corev1.ConfigMap
		want  graph.Action
	}{"ours": {given(root), graph.None}, "another": {given(newRoot(t, "other")), graph.Update}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west", secretUnder(t, root, 9999*time.Hour), tc.given,
				systemPod("istiod-1", "istiod", late), readyDeployment("istiod"))
			change := lookAt(t, c.Client, authority(root), tc.want)
			if tc.want == graph.Update && !strings.Contains(change.Reason, "istiod gives out another root") {
				t.Errorf("reason: %q", change.Reason)
			}
		})
	}
}

// Pods of somebody else's that wait for cacerts are older than it, and nobody of ours restarts them.
func TestWhatSomebodyElseOwnsIsNotRestarted(t *testing.T) {
	t.Parallel()
	root, early := newRoot(t, "root"), noon().Add(-time.Minute)
	a := authority(root)
	manage := &a.Topology.Spec.Clusters[0].Manage
	for _, manage.Istio = range []bool{false, true} {
		for _, manage.Gateways = range []bool{false, true} {
			c := kubetest.New(t, "west", secretUnder(t, root, 9999*time.Hour), given(newRoot(t, "other")), systemPod("istiod-1", "istiod", early), systemPod("ew-1", topology.EastWestGateway, early), readyDeployment("istiod"))
			late, _, err := a.outdated(t.Context(), c.Client, metav1.NewTime(noon()), root.Certificate)
			if err != nil || slices.Contains(late, "istiod") != manage.Istio || slices.Contains(late, topology.EastWestGateway) != manage.Gateways {
				t.Errorf("%+v: %q, %v", *manage, late, err)
			}
		}
	}
}

// A gateway from before cacerts must not keep `up` from installing the istiod that it waits
// for: cacerts comes first.
func TestGatewaysAreNotRestartedWithoutIstiod(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	c := kubetest.New(t, "west", secretUnder(t, root, 9999*time.Hour), given(newRoot(t, "old")),
		systemPod("ew-1", topology.EastWestGateway, noon().Add(-time.Minute)), readyDeployment(topology.EastWestGateway))
	lookAt(t, c.Client, authority(root), graph.None)
}

func TestPodsOfARevisionBelongToItsIstiod(t *testing.T) {
	t.Parallel()
	blue := systemPod("x", "istiod", noon())
	blue.Labels["istio.io/rev"] = "blue"
	for _, tc := range []struct {
		pod        *corev1.Pod
		deployment string
		want       bool
	}{
		{systemPod("x", "istiod", noon()), "istiod", true},
		{systemPod("x", "istiod", noon()), "istiod-blue", false},
		{blue, "istiod", false},
		{blue, "istiod-blue", true},
		{systemPod("x", topology.EastWestGateway, noon()), topology.EastWestGateway, true},
		{systemPod("x", topology.EastWestGateway, noon()), "istiod", false},
	} {
		if got := belongs(tc.pod, tc.deployment); got != tc.want {
			t.Errorf("%v of %s: %v", tc.pod.Labels, tc.deployment, got)
		}
	}
}

func TestRootsAgree(t *testing.T) {
	t.Parallel()
	a, b := newRoot(t, "a").Certificate, newRoot(t, "b").Certificate
	for name, tc := range map[string]struct {
		ours  *x509.Certificate
		found map[string][]*x509.Certificate
		want  []string
	}{
		"nothing there":                 {a, nil, nil},
		"all under ours":                {a, map[string][]*x509.Certificate{"west": {a}, "east": {a}, "north": nil}, nil},
		"ours among several (rotation)": {a, map[string][]*x509.Certificate{"west": {b, a}}, nil},
		"one differs":                   {a, map[string][]*x509.Certificate{"west": {a}, "east": {b}}, []string{"east", "the topology", certs.Fingerprint(a), certs.Fingerprint(b)}},
		"ours not made, all agree":      {nil, map[string][]*x509.Certificate{"west": {b}, "east": {b}}, nil},
		"ours not made, they differ":    {nil, map[string][]*x509.Certificate{"west": {a}, "east": {b}}, []string{"west", "east", certs.Fingerprint(a), certs.Fingerprint(b)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := RootsAgree(tc.ours, tc.found)
			if (err != nil) != (len(tc.want) > 0) {
				t.Fatalf("error: %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %s", err, want)
				}
			}
		})
	}
}

func TestLookAtRootsNamesTheClusterToMend(t *testing.T) {
	t.Parallel()
	ours, theirs := newRoot(t, "ours"), newRoot(t, "theirs")
	west := kubetest.New(t, "west", secretUnder(t, ours, 9999*time.Hour))
	east := kubetest.New(t, "east", secretUnder(t, theirs, 9999*time.Hour))
	north := kubetest.New(t, "north")
	root := func() (*certs.Root, error) { return ours, nil }
	if _, err := LookAtRoots(t.Context(), clients(west, north), root); err != nil {
		t.Errorf("west and north agree: %v", err)
	}
	_, err := LookAtRoots(t.Context(), clients(west, east, north), root)
	if err == nil {
		t.Fatal("east differs")
	}
	if hints := diag.Hints(err); len(hints) != 1 || !strings.HasPrefix(hints[0], "east: ") {
		t.Errorf("hints: %q", hints)
	}
}

// meeting is a cluster that answers once another is asked too.
type meeting struct {
	client.Client
	all *sync.WaitGroup
}

func (m meeting) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	met := make(chan struct{})
	m.all.Done()
	go func() {
		m.all.Wait()
		close(met)
	}()
	select {
	case <-met:
		return m.Client.Get(ctx, key, obj, opts...)
	case <-time.After(10 * time.Second):
		return errors.New("nobody else was asked")
	}
}

func TestRootsAreReadAtOnce(t *testing.T) {
	t.Parallel()
	ours := newRoot(t, "ours")
	var all sync.WaitGroup
	all.Add(2)
	var both []*kube.Client
	for _, name := range []string{"west", "east"} {
		c := kubetest.New(t, name, secretUnder(t, ours, 9999*time.Hour)).Client
		c.Client = meeting{c.Client, &all}
		both = append(both, c)
	}
	if _, err := LookAtRoots(t.Context(), both, func() (*certs.Root, error) { return ours, nil }); err != nil {
		t.Error(err)
	}
}

// A key is never in an error, whatever the secret holds.
func TestPlantedKeyIsNotShown(t *testing.T) {
	t.Parallel()
	planted := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("PLANTED", 20)))
	secret := secretUnder(t, newRoot(t, "root"), 9999*time.Hour)
	for key := range secret.Data {
		broken := secret.DeepCopy()
		broken.Data[key] = []byte("-----BEGIN EC PRIVATE KEY-----\n" + planted + "\n-----END EC PRIVATE KEY-----\n")
		c := kubetest.New(t, "west", broken)
		_, err := authority(newRoot(t, "root")).Look(t.Context(), c.Client)
		if err == nil || strings.Contains(err.Error(), planted[:20]) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
