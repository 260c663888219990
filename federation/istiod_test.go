// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

func TestIstiodExposureGolden(t *testing.T) {
	t.Parallel()
	var got []byte
	for _, object := range (federation.IstiodExposure{Service: "istiod-blue"}).Objects() {
		data, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		got = append(append(got, "---\n"...), data...)
	}
	golden.Check(t, "testdata/istiod-exposure.yaml", got)
}

// TestIstiodExposureConverges: what somebody removes comes back, whichever of the two it is.
func TestIstiodExposureConverges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := kubetest.New(t, "west")
	e := federation.IstiodExposure{Service: "istiod", Labels: map[string]string{"meshfed.io/owner": "o1"}}
	want := func(when string, action graph.Action) {
		t.Helper()
		if got, err := e.Look(ctx, c.Client); err != nil || got.Action != action {
			t.Errorf("%s: %+v, %v; want %s", when, got, err, action)
		}
	}
	do := func() {
		t.Helper()
		if err := e.Do(ctx, c.Client, graph.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	want("at first", graph.Create)
	do()
	want("then", graph.None)
	gone := &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod"}}
	if err := c.Remove(ctx, gone); err != nil {
		t.Fatal(err)
	}
	want("without its VirtualService", graph.Create)
	do()
	want("again", graph.None)
	if err := e.Remove(ctx, c.Client); err != nil {
		t.Fatal(err)
	}
	want("at last", graph.Create)
}

// kubeconfigWorld is a world in which the istiod that runs in west reads east.
func kubeconfigWorld(t *testing.T) (*world, func() federation.IstiodKubeconfig) {
	t.Helper()
	w := newWorld(t)
	if err := w.east.Apply(context.Background(), &corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod"}}); err != nil {
		t.Fatal(err)
	}
	return w, func() federation.IstiodKubeconfig {
		return federation.IstiodKubeconfig{In: w.west.Client, Of: w.east.Client, Server: w.step.Server, Account: "istiod",
			Lifetime: w.step.Lifetime, Labels: w.step.Labels, Now: w.step.Now}
	}
}

func istioKubeconfig(t *testing.T, w *world) *corev1.Secret {
	t.Helper()
	var s corev1.Secret
	if err := w.west.Get(context.Background(), client.ObjectKey{Namespace: "istio-system", Name: "istio-kubeconfig"}, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// TestIstiodKubeconfig: a bounded token of istiod's account beside a kubeconfig that names it as
// a file, renewed in time without another word to istiod, which starts again for another server.
func TestIstiodKubeconfig(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, step := kubeconfigWorld(t)
	look := func(when string, action graph.Action, reason string) {
		t.Helper()
		change, err := step().Look(ctx)
		if err != nil || change.Action != action || !strings.Contains(change.Reason, reason) {
			t.Fatalf("%s: %+v, %v; want %s %q", when, change, err, action, reason)
		}
		w.hides(change.Reason)
	}
	do := func() {
		t.Helper()
		if err := step().Do(ctx, graph.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	istiod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod-1", Labels: map[string]string{"app": "istiod"}}}
	runs := func() bool {
		return w.west.Get(ctx, client.ObjectKeyFromObject(istiod), &corev1.Pod{}) == nil
	}

	look("at first", graph.Create, "no credentials for east")
	do()
	look("then", graph.None, "token until")
	first := istioKubeconfig(t, w)
	config, err := clientcmd.Load(first.Data["config"])
	if err != nil {
		t.Fatal(err)
	}
	if user := config.AuthInfos["east"]; user.TokenFile != "/var/run/secrets/remote/token" || user.Token != "" {
		t.Errorf("the kubeconfig holds a token, or none is read again: file %q", user.TokenFile)
	}
	if server := config.Clusters["east"].Server; server != w.step.Server {
		t.Errorf("server %q", server)
	}
	if w.account != "istiod" || w.asked.BoundObjectRef.Name != "meshfed-remote-west" {
		t.Errorf("the token is of %q, bound to %q", w.account, w.asked.BoundObjectRef.Name)
	}
	if _, ends, err := federation.TokenLife(first); err != nil || !ends.Equal(w.now.Add(720*time.Hour)) {
		t.Errorf("it ends %s, %v", ends, err)
	}

	if err := w.west.Create(ctx, istiod); err != nil {
		t.Fatal(err)
	}
	w.advance(500 * time.Hour)
	look("with less than a third left", graph.Update, "expires in")
	do()
	second := istioKubeconfig(t, w)
	if bytes.Equal(first.Data["token"], second.Data["token"]) || !bytes.Equal(first.Data["config"], second.Data["config"]) || !runs() {
		t.Error("want another token, the same kubeconfig, and an istiod that goes on")
	}

	w.step.Server = "https://east-control-plane:7443"
	look("with another server", graph.Update, "is to be read at https://east-control-plane:7443")
	do()
	look("after that", graph.None, "")
	if third := istioKubeconfig(t, w); !bytes.Equal(second.Data["token"], third.Data["token"]) || runs() {
		t.Error("want the same token, and an istiod that starts again")
	}

	if err := w.east.Remove(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "meshfed-remote-west"}}); err != nil {
		t.Fatal(err)
	}
	look("revoked", graph.Update, "does not accept the token")
	istiod.ResourceVersion = ""
	if err := w.west.Create(ctx, istiod); err != nil {
		t.Fatal(err)
	}
	do()
	look("granted again", graph.None, "token until")
	if runs() {
		t.Error("want an istiod that starts again: the one that runs would be blind for minutes")
	}
}
