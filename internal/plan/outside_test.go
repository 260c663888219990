// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

func gateway(name, address string) *corev1.Service {
	s := balancer(name, address)
	s.Namespace = topology.SystemNamespace
	return s
}

func containersOf(list ...string) []clustertest.Answer {
	var ids, all []string
	for i, c := range list {
		name, state, _ := strings.Cut(c, " ")
		ids = append(ids, fmt.Sprint(i))
		all = append(all, fmt.Sprintf(`{"Id": "%d", "Name": %q, "ImageName": "image-of-%s", "State": {"Status": %q}}`, i, name, name, state))
	}
	return []clustertest.Answer{{To: "ps", Out: strings.Join(ids, "\n")}, {To: "container inspect", Out: "[" + strings.Join(all, ",") + "]"}}
}

// TestOutsideClients: URLs only where they are known.
func TestOutsideClients(t *testing.T) {
	t.Parallel()
	west := func() *kubetest.Cluster {
		return kubetest.New(t, "west", gateway(topology.IngressGateway, "198.51.100.200"))
	}
	all := map[int]int{topology.IngressHTTPNodePort: 31234}
	for name, test := range map[string]struct {
		ports      map[int]int
		portsErr   error
		change     func(*Mesh)
		broken     bool
		host, load map[string]string
	}{
		"all known":         {ports: all, host: map[string]string{"west": "http://127.0.0.1:31234", "east": "http://127.0.0.1:31234"}, load: map[string]string{"west": "http://198.51.100.200"}},
		"nothing published": {load: map[string]string{"west": "http://198.51.100.200"}},
		"another port published": {ports: map[int]int{topology.IngressHTTPSNodePort: 31235},
			load: map[string]string{"west": "http://198.51.100.200"}},
		"the engine does not say": {ports: all, portsErr: errors.New("cannot connect"), load: map[string]string{"west": "http://198.51.100.200"}},
		"no ports in the file": {ports: all, change: func(m *Mesh) { m.Topology.Cluster("west").Ingress.HostPorts.HTTP = 0 },
			host: map[string]string{"east": "http://127.0.0.1:31234"}, load: map[string]string{"west": "http://198.51.100.200"}},
		"no gateway in the file":  {ports: all, change: func(m *Mesh) { m.Topology.Cluster("west").Ingress = nil }, host: map[string]string{"east": "http://127.0.0.1:31234"}},
		"the API does not answer": {ports: all, broken: true, host: map[string]string{"west": "http://127.0.0.1:31234", "east": "http://127.0.0.1:31234"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, w := newMesh(t, example), west()
			m.Provider = &hosted{names: []string{"usmesh-west", "usmesh-east"}, ports: test.ports, portsErr: test.portsErr}
			m.Engine = &clustertest.Engine{Answers: containersOf("usmesh-west-control-plane running")}
			if test.change != nil {
				test.change(m)
			}
			if test.broken {
				w.Fail("get", "Service", "", errors.New("connection refused"), 0)
			}
			clients := map[string]*kube.Client{"west": w.Client, "east": kubetest.New(t, "east", gateway(topology.IngressGateway, "")).Client}
			got := m.outside(t.Context(), clients)
			if len(got) != 2 || got[0].Name != verify.OutsideHost || got[1].Name != verify.OutsideContainer || got[1].Unusable != "" {
				t.Fatalf("%+v", got)
			}
			if test.host == nil {
				test.host = map[string]string{}
			}
			if test.load == nil {
				test.load = map[string]string{}
			}
			if diff := cmp.Diff([]map[string]string{test.host, test.load}, []map[string]string{got[0].URL, got[1].URL}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOutsideClientIsANodesImage of our own: a stranger on a shared network may have no curl.
func TestOutsideClientIsANodesImage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		containers []string
		fails      string
		listErr    error
		want       string
	}{
		"the first that runs":      {containers: []string{"usmesh-east-control-plane exited", "usmesh-west-control-plane running"}, want: "image-of-usmesh-west-control-plane"},
		"none runs":                {containers: []string{"usmesh-east-control-plane exited"}},
		"of another topology":      {containers: []string{"usmesh-two-west-control-plane running", "usmesh-redis running", "west-control-plane running"}},
		"the engine fails":         {fails: "Error: cannot connect"},
		"clusters are not listed":  {containers: []string{"usmesh-west-control-plane running"}, listErr: errors.New("foreign")},
		"ours beside a stranger's": {containers: []string{"usmesh-a running", "usmesh-west-control-plane running"}, want: "image-of-usmesh-west-control-plane"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			m.Provider = &hosted{names: []string{"usmesh-east", "usmesh-west"}, listErr: test.listErr}
			e := &clustertest.Engine{Answers: containersOf(test.containers...)}
			if test.fails != "" {
				e.Answers = []clustertest.Answer{{To: "ps", Fails: test.fails}}
			}
			m.Engine = e
			if got := m.someNodeImage(t.Context()); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if outside := m.outside(t.Context(), nil); (outside[1].Unusable == "") != (test.want != "") {
				t.Errorf("unusable: %q", outside[1].Unusable)
			}
		})
	}
}
