// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// TestPublishedAddresses: where a gateway is reached is what the engine says now, and a URL is
// only what has answered.
func TestPublishedAddresses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, text, _ := strings.Cut(server.Listener.Addr().String(), ":")
	listens, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody listens on port 1, and no other test is given it: a free port may be a moment later.
	const closed = 1
	at := func(port int) []string { return []string{"127.0.0.1:" + strconv.Itoa(port)} }
	for name, test := range map[string]struct {
		ports     map[int]int
		portsErr  error
		change    func(*topology.Cluster)
		published []string
		urls      []string
	}{
		"a Gateway listens":    {ports: map[int]int{topology.IngressHTTPNodePort: listens}, published: at(listens), urls: []string{"http://" + at(listens)[0]}},
		"no Gateway listens":   {ports: map[int]int{topology.IngressHTTPNodePort: closed}, published: at(closed)},
		"another than planned": {ports: map[int]int{topology.IngressHTTPNodePort: listens}, change: func(c *topology.Cluster) { c.Ingress.HostPorts.HTTP, c.Ingress.HostPorts.Any = 8080, true }, published: at(listens), urls: []string{"http://" + at(listens)[0]}},
		"not published":        {ports: map[int]int{}},
		"HTTPS only":           {ports: map[int]int{topology.IngressHTTPSNodePort: listens}},
		"no HTTP in the file":  {ports: map[int]int{topology.IngressHTTPNodePort: listens}, change: func(c *topology.Cluster) { c.Ingress.HostPorts.HTTP = 0 }},
		"no ingress":           {ports: map[int]int{topology.IngressHTTPNodePort: listens}, change: func(c *topology.Cluster) { c.Ingress = nil }},
		"the engine is silent": {portsErr: errors.New("podman: cannot connect")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example).with(versioned(t, kubetest.New(t, "west")))
			m.Provider = &hosted{ports: test.ports, portsErr: test.portsErr}
			if test.change != nil {
				test.change(m.Topology.Cluster("west"))
			}
			got, err := m.StatusOf(t.Context(), "west")
			if !errors.Is(err, test.portsErr) || !slices.Equal(got.Published, test.published) || !slices.Equal(got.URLs, test.urls) {
				t.Errorf("published %q, URLs %q, %v", got.Published, got.URLs, err)
			}
		})
	}
}

// TestAnyPortIsNotReserved: where any port will do, one that is in use is no reason to refuse.
func TestAnyPortIsNotReserved(t *testing.T) {
	t.Parallel()
	m := newMesh(t, example)
	west := m.Topology.Cluster("west")
	west.Provider.Kind.Ports = []topology.Port{{Host: 9000, Node: 30900}}
	if got := m.hostPorts("west"); !slices.Equal(got, []int{30000, 9000}) {
		t.Errorf("%v", got)
	}
	west.Ingress.HostPorts.Any = true
	if got := m.hostPorts("west"); !slices.Equal(got, []int{9000}) {
		t.Errorf("any: %v", got)
	}
	for _, p := range m.kindSpec("west").Ports {
		if p.Any != (p.Node == topology.IngressHTTPNodePort) {
			t.Errorf("%+v", p)
		}
	}
	if ports := m.kindSpec("west").Ports; len(ports) != 2 {
		t.Errorf("%+v", ports)
	}
}
