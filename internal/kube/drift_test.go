// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

func deployment(image, cpu string, replicas *int32, extra ...corev1.Container) *appsv1.Deployment {
	containers := append([]corev1.Container{{
		Name: "main", Image: image, Ports: []corev1.ContainerPort{{ContainerPort: 80}},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}},
	}}, extra...)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "n", Labels: map[string]string{"app": "d"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "d"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "d"}},
				Spec:       corev1.PodSpec{Containers: containers},
			},
		},
	}
}

func service(ports ...int32) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"}}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: p, TargetPort: intstr.FromInt32(p)})
	}
	return s
}

func binding(subjects ...string) *rbacv1.ClusterRoleBinding {
	b := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	for _, s := range subjects {
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Name: s, Namespace: "n"})
	}
	return b
}

func TestDriftComparesOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	two, three := int32(2), int32(3)
	for name, tc := range map[string]struct {
		want, live client.Object
		fields     []graph.FieldChange
	}{
		"the same": {want: deployment("a", "100m", &two), live: deployment("a", "100m", &two)},
		"what is not wanted does not count": {
			want: deployment("a", "100m", nil),
			live: deployment("a", "100m", &three, corev1.Container{Name: "istio-proxy", Image: "p"}),
		},
		"a quantity written otherwise": {want: deployment("a", "0.1", nil), live: deployment("a", "100m", nil)},
		"a quantity that differs": {
			want: deployment("a", "200m", nil), live: deployment("a", "100m", nil),
			fields: []graph.FieldChange{{Path: "spec.template.spec.containers[name=main].resources.requests.cpu", Old: "100m", New: "200m"}},
		},
		"image and replicas": {
			want: deployment("b", "100m", &two), live: deployment("a", "100m", &three),
			fields: []graph.FieldChange{
				{Path: "spec.replicas", Old: "3", New: "2"},
				{Path: "spec.template.spec.containers[name=main].image", Old: "a", New: "b"},
			},
		},
		"a port in another order": {want: service(80, 90), live: service(90, 80)},
		"a port that is missing": {
			want: service(80, 90), live: service(80),
			fields: []graph.FieldChange{
				{Path: "spec.ports[port=90].port", New: "90"},
				{Path: "spec.ports[port=90].targetPort", New: "90"},
			},
		},
		"a subject that someone added": {
			want: binding("a"), live: binding("a", "intruder"),
			fields: []graph.FieldChange{{
				Path: "subjects",
				Old:  `[{"kind":"ServiceAccount","name":"a","namespace":"n"},{"kind":"ServiceAccount","name":"intruder","namespace":"n"}]`,
				New:  `[{"kind":"ServiceAccount","name":"a","namespace":"n"}]`,
			}},
		},
		"a host of a custom resource": {
			want: gateway("*.local"), live: gateway("*.global"),
			fields: []graph.FieldChange{{Path: "spec.servers[0].hosts[0]", Old: "*.global", New: "*.local"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west", tc.live)
			fields, exists, err := c.Drift(context.Background(), tc.want)
			if err != nil || !exists {
				t.Fatalf("exists %v, error %v", exists, err)
			}
			if diff := cmp.Diff(tc.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDriftShowsFingerprintsOfSecrets(t *testing.T) {
	t.Parallel()
	secret := func(value string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"},
			Data:       map[string][]byte{"key": []byte(value)},
		}
	}
	c := kubetest.New(t, "west", secret("old-planted-secret"))
	change, err := c.Look(context.Background(), secret("new-planted-secret"))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	if len(change.Fields) != 1 || change.Fields[0].Path != "data.key" {
		t.Errorf("fields %v", change.Fields)
	}
	if !strings.HasPrefix(change.Fields[0].Old, "SHA256:") || change.Fields[0].Old == change.Fields[0].New {
		t.Errorf("fingerprints %v", change.Fields)
	}
	for _, secret := range []string{"planted", "b2xkLXBsYW50ZWQ", "bmV3LXBsYW50ZWQ"} {
		if strings.Contains(string(shown), secret) {
			t.Errorf("%s shows %q", shown, secret)
		}
	}
}

// TestDriftNamesFieldsOfDocuments: what differs inside of a document that a ConfigMap holds is
// told by the field, not as two texts that begin alike.
func TestDriftNamesFieldsOfDocuments(t *testing.T) {
	t.Parallel()
	config := func(text string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "istio", Namespace: "n"}, Data: map[string]string{"mesh": text}}
	}
	const mesh = "defaultConfig:\n  meshId: usmesh\ntrustDomain: cluster.local\n"
	for name, test := range map[string]struct {
		live, want string
		fields     []graph.FieldChange
	}{
		"a field changed": {strings.Replace(mesh, "usmesh", "other", 1), mesh,
			[]graph.FieldChange{{Path: "data.mesh.defaultConfig.meshId", Old: "other", New: "usmesh"}}},
		"a field added": {mesh + "accessLogFile: /tmp/log\n", mesh,
			[]graph.FieldChange{{Path: "data.mesh.accessLogFile", Old: "/tmp/log"}}},
		"a field removed": {"trustDomain: cluster.local\nx: z\n", mesh,
			[]graph.FieldChange{{Path: "data.mesh.defaultConfig", New: `{"meshId":"usmesh"}`}, {Path: "data.mesh.x", Old: "z"}}},
		"JSON": {`{"global": {"meshID": "other"}}`, `{"global": {"meshID": "usmesh"}}`,
			[]graph.FieldChange{{Path: "data.mesh.global.meshID", Old: "other", New: "usmesh"}}},
		"a template": {"{{ a }}\n{{ b }}\n", "{{ a }}\n{{ c }}\n", []graph.FieldChange{{Path: "data.mesh[line 2]", Old: "{{ b }}", New: "{{ c }}"}}},
		"a template inside": {"templates:\n  sidecar: |\n    {{ a }}\n    x: 1\n", "templates:\n  sidecar: |\n    {{ a }}\n    x: 2\n",
			[]graph.FieldChange{{Path: "data.mesh.templates.sidecar[line 2]", Old: "x: 1", New: "x: 2"}}},
		"the form only": {"a: 1\nb: 2\n", "b: 2\na: 1\n", []graph.FieldChange{{Path: "data.mesh", Old: "a: 1\nb: 2\n", New: "b: 2\na: 1\n"}}},
		"nothing":       {mesh, mesh, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west", config(test.live))
			fields, _, err := c.Drift(t.Context(), config(test.want))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.fields, fields); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
