// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

func inSystem(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: name}
}

func deployed(name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: inSystem(name),
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas},
		Status:     appsv1.DeploymentStatus{Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas},
	}
}

// remote is a remote secret made a year ago whose token was renewed an hour ago.
func remote(peer string, life time.Duration) *corev1.Secret {
	issued := now().Add(-time.Hour)
	claims := fmt.Sprintf(`{"iat": %d, "exp": %d, "sub": "system:serviceaccount:n:a"}`, issued.Unix(), issued.Add(life).Unix())
	token := "x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".y"
	s := &corev1.Secret{ObjectMeta: inSystem(topology.RemoteSecretName(peer)), Data: map[string][]byte{peer: []byte(
		"apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"https://h\"}}]\n" +
			"users: [{name: c, user: {token: " + token + "}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n")}}
	s.Labels = map[string]string{topology.LabelMultiCluster: "true"}
	s.Annotations = map[string]string{topology.AnnotationCluster: peer}
	s.CreationTimestamp = metav1.NewTime(now().Add(-365 * 24 * time.Hour))
	return s
}

// TestMeshState names what keeps a cluster out of the mesh.
func TestMeshState(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	whole := func() map[string]client.Object {
		all := map[string]client.Object{}
		for _, obj := range []client.Object{
			&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}},
			deployed("istiod", 1), deployed(topology.EastWestGateway, 1), deployed(topology.IngressGateway, 1),
			&corev1.Secret{ObjectMeta: inSystem(topology.CACertsSecret)}, remote("east", time.Hour),
			federation.Exposure{Labels: m.Labels()}.Gateway(),
		} {
			all[obj.GetName()] = obj
		}
		return all
	}
	for name, tc := range map[string]struct {
		change func(map[string]client.Object)
		want   string
	}{
		"whole": {func(map[string]client.Object) {}, "ready"},
		"scaled to 0": {func(all map[string]client.Object) {
			all[topology.EastWestGateway] = deployed(topology.EastWestGateway, 0)
		}, "scaled to 0"},
		"no istiod":        {func(all map[string]client.Object) { delete(all, "istiod") }, "istiod: not there"},
		"no cacerts":       {func(all map[string]client.Object) { delete(all, topology.CACertsSecret) }, "secret cacerts is missing"},
		"no remote secret": {func(all map[string]client.Object) { delete(all, topology.RemoteSecretName("east")) }, "secret istio-remote-secret-east is missing"},
		"no Gateway":       {func(all map[string]client.Object) { delete(all, topology.CrossNetworkGateway) }, "cross-network-gateway is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := whole()
			tc.change(all)
			var objs []client.Object
			for _, obj := range all {
				objs = append(objs, obj)
			}
			c := kubetest.New(t, "west", objs...)
			got, err := m.meshState(t.Context(), c.Client, m.Topology.Cluster("west"))
			if err != nil || !strings.Contains(got, tc.want) {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// TestCredentialsAreAsOldAsTheirToken: `up` renews by the token, so status must not complain
// about a Secret that is old and holds a new one.
func TestCredentialsAreAsOldAsTheirToken(t *testing.T) {
	t.Parallel()
	broken := remote("north", time.Hour)
	broken.Data = nil
	c := kubetest.New(t, "west", remote("east", 30*time.Hour), remote("south", 70*time.Minute), broken)
	held, err := credentials(t.Context(), c.Client)
	if err != nil || len(held) != 3 {
		t.Fatalf("%v, %v", held, err)
	}
	want := map[string]string{"east": "", "south": "less than a third", "north": "unusable"}
	for _, k := range held {
		if k.Soon != (want[k.Peer] != "") || !strings.Contains(k.Note, want[k.Peer]) {
			t.Errorf("%s: soon %v, %q", k.Peer, k.Soon, k.Note)
		}
	}
}

// TestURLsThatAnswer: any answer of the gateway counts, none of a proxy's does.
func TestURLsThatAnswer(t *testing.T) {
	proxy := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	if !answers(t.Context(), proxy.URL) {
		t.Error("a server that answers 404 was not seen")
	}
	// TEST-NET-1: nobody is there.
	if answers(t.Context(), "http://192.0.2.1:80") {
		t.Error("the proxy's answer was taken for the gateway's")
	}
}
