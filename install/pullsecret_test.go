// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/topology"
)

const pullPassword = "s3cret-of-the-mirror"

// mirrored is the mesh with a mirror that wants a login.
func mirrored() Mesh {
	m := twoClusters()
	m.Topology.Spec.Images = topology.Images{Mirror: "http://mirror.example:5000/cache", PullSecret: "pull"}
	return m
}

func pullSecret(namespace, password string) PullSecret {
	return PullSecret{Mesh: mirrored(), Namespace: namespace, Data: func(context.Context) (map[string][]byte, error) {
		return PullSecretData([]byte(`{"auths":{"mirror.example:5000":{"password":"` + password + `"}}}`)), nil
	}}
}

func TestPullSecretIsMadeAndKeptCurrent(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"istio-system", "metallb-system", "demo"} {
		t.Run(namespace, func(t *testing.T) {
			t.Parallel()
			s, c := newAPIServer(t)
			p := pullSecret(namespace, pullPassword)
			lookAt(t, c, p, graph.Create)
			doIt(t, c, p)
			lookAt(t, c, p, graph.None)
			at := "/api/v1/namespaces/" + namespace + "/secrets/pull"
			secret := s.get(at)
			if secret["type"] != "kubernetes.io/dockerconfigjson" {
				t.Errorf("type: %v", secret["type"])
			}
			text, _ := base64.StdEncoding.DecodeString(secret["data"].(map[string]any)[".dockerconfigjson"].(string))
			if !strings.Contains(string(text), pullPassword) {
				t.Errorf("it holds %s", text)
			}
			if s.get("/api/v1/namespaces/"+namespace) == nil {
				t.Error("its namespace is not there")
			}
			changed := pullSecret(namespace, "another")
			change, err := changed.Look(t.Context(), c)
			if err != nil || change.Action != graph.Update {
				t.Fatalf("another login: %+v, %v", change, err)
			}
			if said := fmt.Sprintf("%+v", change); strings.Contains(said, pullPassword) || strings.Contains(said, base64.StdEncoding.EncodeToString([]byte(pullPassword))[:12]) {
				t.Errorf("the plan shows the login: %s", said)
			}
			doIt(t, c, changed)
			lookAt(t, c, changed, graph.None)
			if err := p.Remove(t.Context(), c); err != nil || s.get(at) != nil {
				t.Errorf("it is not removed: %v", err)
			}
		})
	}
}

func TestPullSecretOfTheUserStays(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	at := "/api/v1/namespaces/istio-system/secrets/pull"
	s.put(t, at, `{metadata: {name: pull, namespace: istio-system}, data: {x: eQ==}}`)
	p := pullSecret("istio-system", pullPassword)
	p.Data = func(context.Context) (map[string][]byte, error) { t.Error("its content is asked for"); return nil, nil }
	lookAt(t, c, p, graph.None)
	doIt(t, c, p)
	if err := p.Remove(t.Context(), c); err != nil || s.get(at) == nil || len(s.writesTo("secrets")) > 0 {
		t.Errorf("it was touched: %v, %v", s.writesTo("secrets"), err)
	}
}

func TestPullSecretWithoutALogin(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	none := errors.New("this host has no login for the registry")
	p := pullSecret("istio-system", pullPassword)
	p.Data = func(context.Context) (map[string][]byte, error) { return nil, none }
	lookAt(t, c, p, graph.Create)
	err := p.Do(t.Context(), c, graph.Change{})
	if !errors.Is(err, none) || !strings.Contains(err.Error(), "west") || !strings.Contains(strings.Join(diag.Hints(err), ""), "create secret docker-registry pull -n istio-system") {
		t.Errorf("got %v, %q", err, diag.Hints(err))
	}
	if s.get("/api/v1/namespaces/istio-system") == nil {
		t.Error("there is no namespace to make it in")
	}
	// On a host without the login, what another host has made is left alone.
	doIt(t, c, pullSecret("istio-system", pullPassword))
	lookAt(t, c, p, graph.None)
	p.Topology.Spec.Images.PullSecret = ""
	lookAt(t, c, p, graph.None)
	doIt(t, c, p)
}

// Everything that runs is pulled from the mirror, with the secret.
func TestMirrorAndPullSecretReachEveryPod(t *testing.T) {
	t.Parallel()
	all := releases(t, mirrored(), "west")
	const hub = "mirror.example:5000/cache/istio"
	istiod := render(t, all["istiod"])
	containers, _, _ := unstructured.NestedSlice(object(t, istiod, "Deployment", "istiod").Object, "spec", "template", "spec", "containers")
	if image := containers[0].(map[string]any)["image"]; image != hub+"/pilot:"+topology.IstioVersion {
		t.Errorf("istiod is %v", image)
	}
	account := object(t, istiod, "ServiceAccount", "istiod").Object
	if secrets, _, _ := unstructured.NestedSlice(account, "imagePullSecrets"); len(secrets) != 1 || secrets[0].(map[string]any)["name"] != "pull" {
		t.Errorf("istiod pulls with %v", secrets)
	}
	values, _, _ := unstructured.NestedString(object(t, istiod, "ConfigMap", "istio-sidecar-injector").Object, "data", "values")
	for _, want := range []string{`"hub": "` + hub + `"`, "\"imagePullSecrets\": [\n      \"pull\"\n    ]"} {
		if !strings.Contains(values, want) {
			t.Errorf("proxies do not get %s", want)
		}
	}
	for _, gateway := range []string{"ingress", "eastwest"} {
		deployment := object(t, render(t, all[gateway]), "Deployment", all[gateway].Name)
		if secrets, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "imagePullSecrets"); len(secrets) != 1 {
			t.Errorf("%s pulls with %v", gateway, secrets)
		}
	}
	for name, release := range all {
		if manifest := render(t, release); strings.Contains(manifest, "docker.io/") || strings.Contains(manifest, "http://mirror") {
			t.Errorf("%s names another registry", name)
		}
	}
	l := MetalLB{Mesh: mirrored(), Chart: fakeMetalLB(t)}
	if text := string(asYAML(t, l.values())); !strings.Contains(text, "mirror.example:5000/cache/metallb/speaker") || !strings.Contains(text, "imagePullSecrets:\n- name: pull") {
		t.Errorf("MetalLB: %s", text)
	}
}

func TestChartsThatTheUserBrings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: istiod\nversion: 1.30.7\nappVersion: 1.30.7\n", "templates/all.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: mine-{{ .Chart.Version }}}}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := twoClusters()
	m.Charts = map[string]string{"istiod": dir}
	all := releases(t, m, "west")
	if object(t, render(t, all["istiod"]), "ConfigMap", "mine-1.30.7") == nil {
		t.Error("another chart is rendered")
	}
	if manifest := render(t, all["ingress"]); !strings.Contains(manifest, topology.IstioVersion) {
		t.Error("a chart that the user does not bring is not built in")
	}
	built := must(twoClusters().chart("istio-control/istio-discovery"))(t)
	own, other := must(all["istiod"].Chart.Digest())(t), must(built.Digest())(t)
	if own == other {
		t.Error("an installed release does not tell the charts apart")
	}
}

// TestALoginIsAskedForWithTheStepsTime: when that is over the step has not looked, and does not say
// that all is well.
func TestALoginIsAskedForWithTheStepsTime(t *testing.T) {
	t.Parallel()
	_, c := newAPIServer(t)
	doIt(t, c, pullSecret("demo", pullPassword))
	p := pullSecret("demo", "another")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.Data = func(given context.Context) (map[string][]byte, error) {
		cancel()
		select {
		case <-given.Done():
			return nil, given.Err()
		case <-time.After(10 * time.Second):
			return nil, errors.New("it was given another time")
		}
	}
	if change, err := p.Look(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", change, err)
	}
}
