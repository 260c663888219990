// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/golden"
)

func west() cluster.Spec {
	return cluster.Spec{Name: "lab-west", Image: "localhost/node:v1.36.3", PodSubnet: "10.10.0.0/16", ServiceSubnet: "10.100.0.0/24", BridgeCNI: true,
		Nodes: []cluster.Node{{Role: "control-plane", Labels: map[string]string{"topology.kubernetes.io/region": "us-west", "topology.kubernetes.io/zone": "us-west-1"}}},
		Ports: []cluster.Port{{Host: 30000, Node: 30080}}}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	several := west()
	several.BridgeCNI = false
	several.Nodes = append([]cluster.Node{{Role: "worker"}}, several.Nodes...)
	several.Nodes = append(several.Nodes, cluster.Node{Role: "control-plane"}, cluster.Node{Role: "worker"})
	several.Patches = []string{"kind: KubeletConfiguration\nmaxPods: 50\n", "[debug]\n  level = \"debug\"\n"}
	for name, test := range map[string]struct {
		spec  cluster.Spec
		facts cluster.Facts
	}{
		"restricted": {west(), cluster.Facts{CgroupV1: true, NoSysResource: true}},
		"ordinary":   {west(), cluster.Facts{}},
		"several":    {several, cluster.Facts{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := yaml.Marshal(configFor(test.spec, test.facts))
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/"+name+".yaml", data)
		})
	}
}

func TestEverythingIsPublishedOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	c := configFor(west(), cluster.Facts{})
	if c.Networking.APIServerAddress != "127.0.0.1" || c.Networking.APIServerPort != 0 {
		t.Errorf("the API server: %+v", c.Networking)
	}
	for _, p := range c.Nodes[0].ExtraPortMappings {
		if p.ListenAddress != "127.0.0.1" {
			t.Errorf("port %d on %s", p.HostPort, p.ListenAddress)
		}
	}
}

func TestNodeNames(t *testing.T) {
	t.Parallel()
	s := cluster.Spec{Name: "a"}
	if got := strings.Join(nodeNames(s), " "); got != "a-control-plane" {
		t.Errorf("no nodes: %s", got)
	}
	s.Nodes = []cluster.Node{{Role: "worker"}, {Role: "control-plane"}, {Role: "worker"}, {Role: "control-plane"}}
	if got := strings.Join(nodeNames(s), " "); got != "a-worker a-control-plane a-worker2 a-control-plane2" {
		t.Errorf("four nodes: %s", got)
	}
	if got := strings.Join(controlPlanes(s), " "); got != "a-control-plane a-control-plane2" {
		t.Errorf("control planes: %s", got)
	}
}
