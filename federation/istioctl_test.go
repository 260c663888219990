// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"istio.io/istio/istioctl/pkg/multicluster"
	istiokube "istio.io/istio/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// TestRemoteSecretHasTheShapeOfIstioctl asks istioctl's own library for the same secret: the
// same account, token, CA and server. Ours adds to it, and differs in nothing else.
func TestRemoteSecretHasTheShapeOfIstioctl(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle()
	ours := w.secret()
	cfg, err := clientcmd.Load(ours.Data["east"])
	if err != nil {
		t.Fatal(err)
	}
	client := istiokube.NewFakeClient(reader(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "istio-reader-service-account-istio-remote-secret-token", Namespace: "istio-system",
			Annotations: map[string]string{"kubernetes.io/service-account.name": "istio-reader-service-account"},
		},
		Type: corev1.SecretTypeServiceAccountToken,
		Data: map[string][]byte{"ca.crt": []byte("CA OF EAST"), "token": []byte(cfg.AuthInfos["east"].Token)},
	})
	text, _, err := multicluster.CreateRemoteSecret(client, multicluster.RemoteSecretOptions{
		KubeOptions:    multicluster.KubeOptions{Namespace: "istio-system"},
		ClusterName:    "east",
		AuthType:       multicluster.RemoteSecretAuthTypeBearerToken,
		Type:           multicluster.SecretTypeRemote,
		ServerOverride: "https://east-control-plane:6443",
	})
	if err != nil {
		t.Fatal(err)
	}
	var theirs corev1.Secret
	if err := yaml.Unmarshal([]byte(text), &theirs); err != nil {
		t.Fatal(err)
	}
	delete(ours.Annotations, "meshfed.io/expires")
	delete(ours.Labels, "meshfed.io/owner")
	for _, c := range []struct {
		what         string
		theirs, ours any
	}{
		{"name", theirs.Namespace + "/" + theirs.Name, ours.Namespace + "/" + ours.Name},
		{"labels", theirs.Labels, ours.Labels},
		{"annotations", theirs.Annotations, ours.Annotations},
		{"type", theirs.Type, ours.Type},
		{"data", theirs.StringData, map[string]string{"east": string(ours.Data["east"])}},
		{"number of keys", len(theirs.StringData), len(ours.Data)},
	} {
		if diff := cmp.Diff(c.theirs, c.ours); diff != "" {
			t.Errorf("%s (-istioctl +ours):\n%s", c.what, diff)
		}
	}
}
