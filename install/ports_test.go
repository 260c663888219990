// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/graph"
)

const servicePath = "/api/v1/namespaces/demo/services/app"

// TestEditedPortsArePutBack: the number of a port that somebody has edited is put back before the
// chart is applied, since the API server would refuse a second port of the same name.
func TestEditedPortsArePutBack(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	r := demo()
	r.Chart.FS.(fstest.MapFS)["templates/service.yaml"] = &fstest.MapFile{Data: []byte(`apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{name: status, port: 15021, protocol: TCP}, {name: tls, port: 15443, protocol: TCP}]}
`)}
	doIt(t, c, r)
	ports := s.get(servicePath)["spec"].(map[string]any)["ports"].([]any)
	ports[0].(map[string]any)["port"] = 16021
	ports[0].(map[string]any)["nodePort"] = 30123
	change := lookAt(t, c, r, graph.Update)
	if diff := cmp.Diff([]graph.FieldChange{{Path: "Service/app spec.ports[name=status].port", Old: "16021", New: "15021"}}, change.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	before := len(s.writesTo("services/app"))
	if err := r.mendPorts(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if now := s.writesTo("services/app"); len(now) != before+1 || now[before] != "PATCH "+servicePath {
		t.Errorf("writes: %v", now[before:])
	}
	first := s.get(servicePath)["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)
	if first["port"] != 15021.0 || first["nodePort"] != 30123.0 {
		t.Errorf("the port is %v: its number was to be put back and its node port to stay", first)
	}
	if err := r.mendPorts(t.Context(), c); err != nil || len(s.writesTo("services/app")) != before+1 {
		t.Errorf("a Service that is right was written again (%v)", err)
	}
}

func TestRenumber(t *testing.T) {
	t.Parallel()
	port := func(name string, number int32, protocol corev1.Protocol) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, Protocol: protocol}
	}
	for name, tc := range map[string]struct {
		live, want, then []corev1.ServicePort
		changed          bool
	}{
		"as wanted":        {[]corev1.ServicePort{port("a", 1, "TCP")}, []corev1.ServicePort{port("a", 1, "")}, []corev1.ServicePort{port("a", 1, "TCP")}, false},
		"another number":   {[]corev1.ServicePort{port("a", 2, "TCP")}, []corev1.ServicePort{port("a", 1, "")}, []corev1.ServicePort{port("a", 1, "TCP")}, true},
		"another protocol": {[]corev1.ServicePort{port("a", 1, "UDP")}, []corev1.ServicePort{port("a", 1, "TCP")}, []corev1.ServicePort{port("a", 1, "TCP")}, true},
		"somebody else's":  {[]corev1.ServicePort{port("b", 2, "TCP")}, []corev1.ServicePort{port("a", 1, "")}, []corev1.ServicePort{port("b", 2, "TCP")}, false},
	} {
		if changed := renumber(tc.live, tc.want); changed != tc.changed {
			t.Errorf("%s: changed %v", name, changed)
		}
		if diff := cmp.Diff(tc.then, tc.live); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestWhatMovesByItselfIsNoDrift: what autoscalers, istiod, other people and the API server write
// is not told as a change.
func TestWhatMovesByItselfIsNoDrift(t *testing.T) {
	t.Parallel()
	hpa := func(target string) string {
		return "spec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: " + target + "}}"
	}
	const hpaPath = "/apis/autoscaling/v2/namespaces/demo/horizontalpodautoscalers/hers"
	for name, tc := range map[string]struct {
		move func(*testing.T, *apiServer)
		want graph.Action
	}{
		"an autoscaler": {func(t *testing.T, s *apiServer) {
			s.put(t, hpaPath, hpa("app"))
			s.objects[appPath]["spec"].(map[string]any)["replicas"] = 4
		}, graph.None},
		"an autoscaler of something else": {func(t *testing.T, s *apiServer) {
			s.put(t, hpaPath, hpa("other"))
			s.objects[appPath]["spec"].(map[string]any)["replicas"] = 4
		}, graph.Update},
		"foreign labels and annotations": {func(_ *testing.T, s *apiServer) {
			metadata := s.objects[appPath]["metadata"].(map[string]any)
			metadata["labels"].(map[string]any)["team"] = "x"
			metadata["annotations"] = map[string]any{"kubectl.kubernetes.io/restartedAt": "now", "meta.helm.sh/release-name": "demo", "meta.helm.sh/release-namespace": "demo"}
		}, graph.None},
		"status and defaults": {func(_ *testing.T, s *apiServer) {
			s.objects[appPath]["status"] = map[string]any{"readyReplicas": 2}
			s.objects[appPath]["spec"].(map[string]any)["progressDeadlineSeconds"] = 600
		}, graph.None},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newAPIServer(t)
			doIt(t, c, demo())
			tc.move(t, s)
			lookAt(t, c, demo(), tc.want)
		})
	}
}
