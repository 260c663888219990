// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

var _ Engine = (*clustertest.Engine)(nil)

var addresses = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func fixture(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestContainers(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "ps --all --no-trunc --quiet --filter label=a --filter network=b", Out: "7585285867f7"},
		{To: "container inspect 7585285867f7", Out: fixture(t, "container.json")},
	}}
	got, err := Containers(t.Context(), e, "label=a", "network=b")
	if err != nil {
		t.Fatal(err)
	}
	want := []Container{{
		ID: "7585285867f72ef0bd12640556b6a8a20d6ba40bd0de0c5f073c0c95fd3c90b2", Name: "lab-west-control-plane",
		Labels: map[string]string{"io.buildah.version": "1.28.2", "io.x-k8s.kind.cluster": "lab-west", "io.x-k8s.kind.role": "control-plane"},
		Image:  "localhost/kindnode:v1.36.3", State: "running",
		Networks: map[string]netip.Addr{"meshfed-lab": netip.MustParseAddr("10.90.0.9")},
		Ports:    map[int]int{30100: 30100, 6443: 44859},
	}}
	if diff := cmp.Diff(want, got, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got[0].Running() || !got[0].On("meshfed-lab") || got[0].On("podman") {
		t.Error("it runs, on meshfed-lab alone")
	}
}

func TestContainersWhenOneGoesMeanwhile(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "ps", Out: "gone\n7585285867f7"},
		{To: "container inspect gone", Fails: "Error: inspecting object: no such container gone"},
		{To: "container inspect 7585285867f7", Out: fixture(t, "container.json")},
	}}
	got, err := Containers(t.Context(), e)
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRemoveContainers(t *testing.T) {
	t.Parallel()
	dead := "Error: cannot remove container x as it could not be stopped: container state improper: stopped"
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		calls   int
		want    string
	}{
		"running":                             {calls: 1},
		"dead, podman needs a second attempt": {answers: []clustertest.Answer{{To: "rm", Fails: dead, Once: true}}, calls: 2},
		"absent":                              {answers: []clustertest.Answer{{To: "rm", Fails: "Error: no such container x"}}, calls: 1},
		"never":                               {answers: []clustertest.Answer{{To: "rm", Fails: dead}}, calls: removeAttempts, want: "removing container x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &clustertest.Engine{Answers: test.answers}
			err := RemoveContainers(t.Context(), e, "x")
			if test.want != "" {
				refused(t, err, test.want, "")
			} else if err != nil {
				t.Error(err)
			}
			if got := e.Calls("rm --force --volumes --time 0 x"); len(got) != test.calls {
				t.Errorf("calls: %q", got)
			}
		})
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "image inspect --format {{json .Labels}} have", Out: `{"a": "b"}`},
		{To: "image inspect --format {{json .Labels}} bare", Out: "null"},
		{To: "image inspect", Fails: "Error: inspecting object: nosuch: image not known"},
		{To: "image rm", Fails: "Error: nosuch: image not known"},
	}}
	if labels, ok, err := ImageLabels(t.Context(), e, "have"); err != nil || !ok || labels["a"] != "b" {
		t.Errorf("%v %v %v", labels, ok, err)
	}
	if _, ok, err := ImageLabels(t.Context(), e, "bare"); err != nil || !ok {
		t.Errorf("%v %v", ok, err)
	}
	if _, ok, err := ImageLabels(t.Context(), e, "nosuch"); err != nil || ok {
		t.Errorf("%v %v", ok, err)
	}
	if err := RemoveImage(t.Context(), e, "nosuch"); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fixture(f, "container.json")))
	f.Add([]byte(fixture(f, "networks.json")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = parseContainers(data)
		_, _ = parseNetworks(data)
		parseRoutes(string(data))
	})
}
