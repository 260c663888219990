// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

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
		Image:  "localhost/kindnode:v1.36.3", State: "running", PID: 22844, Started: time.Date(2026, 11, 22, 7, 49, 11, 473086425, time.UTC),
		Networks: map[string]netip.Addr{"meshfed-lab": netip.MustParseAddr("10.90.0.9")},
		Hardware: map[string]net.HardwareAddr{"meshfed-lab": {0x96, 0x06, 0xde, 0x2e, 0xa3, 0x3a}},
		Ports:    map[int]int{30100: 30100, 6443: 44859},
	}}
	if diff := cmp.Diff(want, got, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got[0].Running() || !got[0].On("meshfed-lab") || got[0].On("podman") {
		t.Error("it runs, on meshfed-lab alone")
	}
}

func TestContainersOfDocker(t *testing.T) {
	t.Parallel()
	got, err := parseContainers([]byte(fixture(t, "docker-containers.json")))
	if err != nil {
		t.Fatal(err)
	}
	want := []Container{{
		ID: "8c2fa997f8a28d4be4a56c9a7f4fe11371c37cb4b8d218b56a57613c0402c279", Name: "lab-west-control-plane",
		Labels: map[string]string{"a": "b", "io.x-k8s.kind.cluster": "lab-west", "io.x-k8s.kind.role": "control-plane"},
		Image:  "localhost/kindnode:v1.36.3", State: "running", PID: 21778, Started: time.Date(2026, 11, 22, 10, 34, 25, 759969421, time.UTC),
		Networks: map[string]netip.Addr{"meshfed-lab": netip.MustParseAddr("10.90.7.2")},
		Hardware: map[string]net.HardwareAddr{"meshfed-lab": {0x02, 0x42, 0x0a, 0x5a, 0x07, 0x02}},
		Ports:    map[int]int{30100: 30123, 6443: 32770},
	}, {
		ID: "2ea988bf75d5419f36bb50f59bcf4d8f717d4c788f87f1cfc3853be2e6410b8f", Name: "lab-dead",
		Labels: map[string]string{"a": "b"}, Image: "localhost/kindnode:v1.36.3", State: "exited",
		Started:  time.Date(2026, 11, 22, 10, 34, 26, 289751516, time.UTC),
		Networks: map[string]netip.Addr{"meshfed-lab": {}}, Hardware: map[string]net.HardwareAddr{}, Ports: map[int]int{},
	}}
	if diff := cmp.Diff(want, got, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
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

func TestRemoveContainersOfDocker(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Engine: docker, Answers: []clustertest.Answer{
		{To: "rm", Fails: "Error response from daemon: removal of container x is already in progress"},
		{To: "container inspect x", Out: fixture(t, "docker-containers.json"), Once: true},
		{To: "container inspect x", Fails: "Error: No such container: x"},
	}}
	if err := RemoveContainers(t.Context(), e, "x"); err != nil {
		t.Error(err)
	}
	if got := e.Calls("rm"); len(got) != 1 || got[0] != "rm --force --volumes x" {
		t.Errorf("calls: %q", got)
	}
}

func TestVolumes(t *testing.T) {
	t.Parallel()
	const list = `[{"Name": "v", "Driver": "local", "Labels": {"lab-west-control-plane": ""}}, {"Name": "w", "Labels": null}]`
	want := []Volume{{Name: "v", Labels: map[string]string{"lab-west-control-plane": ""}}, {Name: "w"}}
	for name, e := range map[string]*clustertest.Engine{
		podman: {Answers: []clustertest.Answer{{To: "volume ls --format json", Out: list}}},
		docker: {Engine: docker, Answers: []clustertest.Answer{{To: "volume ls --quiet", Out: "v\nw"}, {To: "volume inspect v w", Out: list}}},
		"one goes meanwhile": {Engine: docker, Answers: []clustertest.Answer{{To: "volume ls --quiet", Out: "v\ngone\nw"},
			{To: "volume inspect v gone w", Fails: "Error: No such volume: gone"}, {To: "volume inspect gone", Fails: "Error: No such volume: gone"},
			{To: "volume inspect v", Out: `[{"Name": "v", "Labels": {"lab-west-control-plane": ""}}]`}, {To: "volume inspect w", Out: `[{"Name": "w"}]`}}},
	} {
		got, err := Volumes(t.Context(), e)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	if got, err := Volumes(t.Context(), &clustertest.Engine{Engine: docker}); err != nil || got != nil {
		t.Errorf("none: %v, %v", got, err)
	}
	broken := &clustertest.Engine{Engine: docker, Answers: []clustertest.Answer{{To: "volume ls", Out: "v"}, {To: "volume inspect", Fails: "cannot connect"}}}
	if _, err := Volumes(t.Context(), broken); err == nil {
		t.Error("an engine that does not answer")
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "image inspect --format {{json .Labels}} have", Out: `{"a": "b"}`},
		{To: "image inspect --format {{json .Labels}} bare", Out: "null"},
		{To: "image inspect", Fails: "Error: inspecting object: nosuch: image not known"},
	}}
	if labels, ok, err := ImageLabels(t.Context(), &clustertest.Engine{Engine: docker,
		Answers: []clustertest.Answer{{To: "image inspect --format {{json .Config.Labels}} have", Out: `{"a": "b"}`}}}, "have"); err != nil || !ok || labels["a"] != "b" {
		t.Errorf("%v %v %v", labels, ok, err)
	}
	if labels, ok, err := ImageLabels(t.Context(), e, "have"); err != nil || !ok || labels["a"] != "b" {
		t.Errorf("%v %v %v", labels, ok, err)
	}
	if _, ok, err := ImageLabels(t.Context(), e, "bare"); err != nil || !ok {
		t.Errorf("%v %v", ok, err)
	}
	if _, ok, err := ImageLabels(t.Context(), e, "nosuch"); err != nil || ok {
		t.Errorf("%v %v", ok, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fixture(f, "container.json")))
	f.Add([]byte(fixture(f, "networks.json")))
	f.Add([]byte(fixture(f, "docker-containers.json")))
	f.Add([]byte(fixture(f, "docker-networks.json")))
	f.Add([]byte(fixture(f, "docker-info.json")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = parseContainers(data)
		_, _ = parseNetworks(data)
		_, _ = parseVolumes(string(data))
		if info, err := parseDockerInfo(string(data)); err == nil {
			_ = new(Facts).readDocker(info, here())
		}
		parseRoutes(string(data))
	})
}
