// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

// planted is in the signature of every token; it must never be shown.
const planted = "PLANTED-SIGNATURE-0123456789"

// start is when every test begins.
const start = 1_800_000_000

// world is two clusters: west's istiod shall read east. East grants tokens and takes them
// while the Secret that they are bound to is there.
type world struct {
	t          *testing.T
	west, east *kubetest.Cluster
	step       federation.RemoteSecret

	mu       sync.Mutex
	now      time.Time
	grants   int
	granted  time.Duration // what east grants at most; 0 for what is asked
	bindings map[string]string
	status   int // what east answers to a good token; 0 for 200
	asked    authenticationv1.TokenRequestSpec
	account  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(start, 0), bindings: map[string]string{}}
	ca := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kube-root-ca.crt", Namespace: "kube-system"}, Data: map[string]string{"ca.crt": "CA OF EAST"}}
	w.west = kubetest.New(t, "west")
	w.east = kubetest.New(t, "east", reader(), ca)
	api := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(api.Close)
	w.east.REST = &rest.Config{Host: api.URL}
	w.east.Tokens(w.grant)
	w.step = federation.RemoteSecret{
		In: w.west.Client, Of: w.east.Client, Peer: "east", Server: "https://east-control-plane:6443",
		Lifetime: 720 * time.Hour, Labels: map[string]string{"meshfed.io/owner": "o1"},
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
	}
	return w
}

// grant is east's token endpoint.
func (w *world) grant(_ context.Context, account, request client.Object) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := request.(*authenticationv1.TokenRequest)
	w.asked, w.account = r.Spec, account.GetName()
	life := time.Duration(*r.Spec.ExpirationSeconds) * time.Second
	if w.granted > 0 && life > w.granted {
		life = w.granted
	}
	w.grants++
	r.Status.Token = jwt(account.GetName(), w.now, life, w.grants)
	r.Status.ExpirationTimestamp = metav1.NewTime(w.now.Add(life))
	w.bindings[r.Status.Token] = r.Spec.BoundObjectRef.Name
	return nil
}

func jwt(account string, now time.Time, life time.Duration, serial int) string {
	return jwtOf(map[string]any{
		"iat": now.Unix(), "exp": now.Add(life).Unix(), "jti": serial,
		"sub": "system:serviceaccount:istio-system:" + account,
	})
}

func jwtOf(claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	enc := base64.RawURLEncoding
	return strings.Join([]string{enc.EncodeToString([]byte(`{"alg":"RS256"}`)), enc.EncodeToString(payload), enc.EncodeToString([]byte(planted))}, ".")
}

// serve is east's API as a bearer of a token sees it.
func (w *world) serve(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	name, known := w.bindings[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	status := w.status
	w.mu.Unlock()
	var s corev1.Secret
	if !known || w.east.Get(r.Context(), client.ObjectKey{Namespace: "istio-system", Name: name}, &s) != nil {
		status = http.StatusUnauthorized
	}
	if status != 0 {
		out.WriteHeader(status)
	}
	_, _ = out.Write([]byte("{}"))
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// look looks and fails the test on an error.
func (w *world) look() graph.Change {
	w.t.Helper()
	change, err := w.step.Look(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	w.hides(fmt.Sprintf("%+v %v", change, err))
	return change
}

// settle does the step and checks that nothing is left to do.
func (w *world) settle() {
	w.t.Helper()
	if err := w.step.Do(context.Background(), graph.Change{}); err != nil {
		w.t.Fatal(err)
	}
	if change := w.look(); change.Needed() {
		w.t.Fatalf("after Do there is still %+v", change)
	}
}

// hides fails the test when text shows a token, plain or in base64.
func (w *world) hides(text string) {
	w.t.Helper()
	signature := base64.RawURLEncoding.EncodeToString([]byte(planted))
	for _, secret := range []string{planted, signature, base64.StdEncoding.EncodeToString([]byte(signature))[:20], "eyJ"} {
		if strings.Contains(text, secret) {
			w.t.Errorf("a token is shown: %s", text)
		}
	}
}

func (w *world) secret() *corev1.Secret {
	w.t.Helper()
	var s corev1.Secret
	if err := w.west.Get(context.Background(), client.ObjectKey{Namespace: "istio-system", Name: "istio-remote-secret-east"}, &s); err != nil {
		w.t.Fatal(err)
	}
	return &s
}
