// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
)

func TestRemoteSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.look(); got.Action != graph.Create {
		t.Fatalf("before: %+v", got)
	}
	w.settle()
	s := w.secret()
	cfg, err := clientcmd.Load(s.Data["east"])
	if err != nil {
		t.Fatal(err)
	}
	if c := cfg.Clusters["east"]; c.Server != "https://east-control-plane:6443" || string(c.CertificateAuthorityData) != "CA OF EAST" {
		t.Errorf("cluster in the kubeconfig: %+v", c)
	}
	end := time.Unix(start, 0).Add(720 * time.Hour).UTC().Format(time.RFC3339)
	wantNotes := map[string]string{"networking.istio.io/cluster": "east", "meshfed.io/expires": end}
	if diff := cmp.Diff(wantNotes, s.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"istio/multiCluster": "true", "meshfed.io/owner": "o1"}, s.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if w.account != "istio-reader-service-account" {
		t.Errorf("the token is of %s", w.account)
	}
	if ref := w.asked.BoundObjectRef; ref == nil || ref.Kind != "Secret" || ref.Name != "meshfed-remote-west" {
		t.Errorf("the token is bound to %+v", ref)
	}
	writes := len(w.west.Writes()) + len(w.east.Writes())
	w.look()
	if got := len(w.west.Writes()) + len(w.east.Writes()); got != writes {
		t.Errorf("looking wrote: %v %v", w.west.Writes(), w.east.Writes())
	}
	w.settle()
	if w.grants != 1 {
		t.Errorf("%d tokens were granted, want the first to be kept", w.grants)
	}
}

func TestRemoteSecretIsRenewed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil  func(w *world)
		reason string
		fields []graph.FieldChange
		grants int
	}{
		"two thirds are over": {
			spoil:  func(w *world) { w.advance(500 * time.Hour) },
			reason: "token expires in 220h0m0s", grants: 2,
		},
		"it has ended": {
			spoil:  func(w *world) { w.advance(721 * time.Hour) },
			reason: "token expired on ", grants: 2,
		},
		"it was revoked": {
			spoil:  func(w *world) { w.must(w.east.Remove(context.Background(), bindingOf("west"))) },
			reason: "east does not accept the token", grants: 2,
		},
		"it was bound to what is gone, which the API server does not know yet": {
			spoil: func(w *world) {
				token := jwtOf(map[string]any{
					"iat": w.now.Unix(), "exp": w.now.Add(720 * time.Hour).Unix(), "sub": "system:serviceaccount:istio-system:istio-reader-service-account",
					"kubernetes.io": map[string]any{"secret": map[string]any{"name": "meshfed-remote-west", "uid": "of-another-time"}},
				})
				w.bindings[token] = "meshfed-remote-west" // east still takes it
				w.retoken(token)
			},
			reason: "the token was revoked: Secret meshfed-remote-west of east, to which it was bound, is gone", grants: 2,
		},
		"it is of another account": {
			spoil: func(w *world) { w.retoken(jwt("other", w.now, 720*time.Hour, 9)) },
			fields: []graph.FieldChange{{Path: "token.account", Old: "system:serviceaccount:istio-system:other",
				New: "system:serviceaccount:istio-system:istio-reader-service-account"}},
			grants: 2,
		},
		"another address": {
			spoil:  func(w *world) { w.step.Server = "10.0.0.9:6443" },
			fields: []graph.FieldChange{{Path: "kubeconfig.server", Old: "https://east-control-plane:6443", New: "https://10.0.0.9:6443"}},
			grants: 1,
		},
		"another CA": {
			spoil: func(w *world) {
				var cm corev1.ConfigMap
				w.must(w.east.Get(context.Background(), client.ObjectKey{Namespace: "kube-system", Name: "kube-root-ca.crt"}, &cm))
				cm.Data["ca.crt"] = "NEW CA"
				w.must(w.east.Update(context.Background(), &cm))
			},
			fields: []graph.FieldChange{{Path: "kubeconfig.certificate-authority", Old: "SHA256:", New: "SHA256:"}},
			grants: 1,
		},
		"the label is gone": {
			spoil:  func(w *world) { w.edit(func(s *corev1.Secret) { delete(s.Labels, "istio/multiCluster") }) },
			fields: []graph.FieldChange{{Path: "metadata.labels.istio/multiCluster", New: "true"}},
			grants: 1,
		},
		"another cluster in it": {
			spoil:  func(w *world) { w.edit(func(s *corev1.Secret) { s.Data["north"] = []byte("x") }) },
			fields: []graph.FieldChange{{Path: "data.north", Old: "(another cluster)"}},
			grants: 1,
		},
		"garbage in it": {
			spoil:  func(w *world) { w.edit(func(s *corev1.Secret) { s.Data["east"] = []byte("token: " + planted) }) },
			reason: "data.east is not a kubeconfig", grants: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.settle()
			tc.spoil(w)
			got := w.look()
			if got.Action != graph.Update || !strings.Contains(got.Reason, tc.reason) {
				t.Errorf("look: %+v; want update because %q", got, tc.reason)
			}
			for i := range got.Fields {
				if strings.HasPrefix(got.Fields[i].Old, "SHA256:") && got.Fields[i].Old != got.Fields[i].New {
					got.Fields[i].Old, got.Fields[i].New = "SHA256:", "SHA256:"
				}
			}
			if diff := cmp.Diff(tc.fields, got.Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			w.settle()
			if w.grants != tc.grants {
				t.Errorf("%d tokens were granted, want %d", w.grants, tc.grants)
			}
		})
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) edit(change func(*corev1.Secret)) {
	w.t.Helper()
	s := w.secret()
	change(s)
	w.must(w.west.Update(context.Background(), s))
}

// retoken puts another token into the remote secret.
func (w *world) retoken(token string) {
	w.t.Helper()
	w.edit(func(s *corev1.Secret) {
		cfg, err := clientcmd.Load(s.Data["east"])
		w.must(err)
		cfg.AuthInfos["east"].Token = token
		s.Data["east"], err = clientcmd.Write(*cfg)
		w.must(err)
	})
}

func bindingOf(in string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: federation.BindingName(in), Namespace: "istio-system"}}
}

func TestShorterGrantIsRecordedAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.granted = time.Hour
	var states []string
	ctx := graph.WithState(context.Background(), func(s string) { states = append(states, s) })
	if err := w.step.Do(ctx, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(states, "east grants 1h0m0s of the 720h0m0s asked for") {
		t.Errorf("states %q", states)
	}
	if got := w.look(); got.Needed() {
		t.Errorf("a short token is renewed at once: %+v", got)
	}
	want := time.Unix(start, 0).Add(time.Hour).UTC().Format(time.RFC3339)
	if got := w.secret().Annotations["meshfed.io/expires"]; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
}

func TestTwoSecretsForOneClusterAreAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "by-hand", Namespace: "istio-system", Labels: map[string]string{"istio/multiCluster": "true"}},
		Data:       map[string][]byte{"east": []byte("token: " + planted)},
	}
	w.must(w.west.Create(context.Background(), rival))
	_, err := w.step.Look(context.Background())
	var duplicate *federation.DuplicateError
	if !errors.As(err, &duplicate) || !strings.Contains(err.Error(), "by-hand") || len(diag.Hints(err)) == 0 {
		t.Errorf("error %v, hints %v", err, diag.Hints(err))
	}
	if err := w.step.Do(context.Background(), graph.Change{}); !errors.As(err, &duplicate) {
		t.Errorf("Do: %v", err)
	}
	w.hides(err.Error())
}

func TestFailuresAreNamedAndHideTokens(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	forbidden := apierrors.NewForbidden(corev1.Resource("serviceaccounts/token"), "x", boom)
	for name, tc := range map[string]struct {
		spoil func(w *world)
		says  []string
	}{
		"west does not answer":   {func(w *world) { w.west.Fail("list", "", "", boom, 0) }, []string{"west: ", "boom"}},
		"no token":               {func(w *world) { w.east.Fail("token", "", "", forbidden, 0) }, []string{"east: requesting a token", "remote secret for east to west"}},
		"no binding":             {func(w *world) { w.east.Fail("apply", "Secret", "", boom, 0) }, []string{"east: applying Secret istio-system/meshfed-remote-west"}},
		"west refuses":           {func(w *world) { w.west.Fail("apply", "Secret", "", boom, 0) }, []string{"west: applying Secret istio-system/istio-remote-secret-east"}},
		"east breaks":            {func(w *world) { w.status = http.StatusInternalServerError }, []string{"answers 500"}},
		"no reader account":      {func(w *world) { w.must(w.east.Delete(context.Background(), reader())) }, []string{"looking for service account istio-reader-service-account"}},
		"no CA":                  {func(w *world) { w.east.Fail("get", "ConfigMap", "", boom, 0) }, []string{"east: reading the API server's CA"}},
		"an address of loopback": {func(w *world) { w.step.Server = "https://127.0.0.1:6443" }, []string{"loopback"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.spoil(w)
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			err := w.step.Do(ctx, graph.Change{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			w.hides(err.Error() + strings.Join(diag.Hints(err), ""))
			if name != "west refuses" && slices.ContainsFunc(w.west.Writes(), func(s string) bool { return strings.HasPrefix(s, "apply") }) {
				t.Errorf("west was written all the same: %v", w.west.Writes())
			}
		})
	}
}

func reader() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "istio-reader-service-account", Namespace: "istio-system"}}
}
