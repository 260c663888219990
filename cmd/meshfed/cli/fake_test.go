// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// standIns are clusters of which only an API server's version and the nodes' images are there.
type standIns struct {
	plan.Provider
	names []string
	url   string

	mu     sync.Mutex
	loaded []string          // cluster and size of what was loaded
	ids    map[string]string // what ImageIDs says
}

func (s *standIns) List(context.Context) ([]string, error) { return s.names, nil }

func (s *standIns) Ports(context.Context, string) (map[int]int, error) { return nil, nil }

func (s *standIns) Kubeconfig(_ context.Context, name string, _ cluster.Vantage) ([]byte, error) {
	return fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Config", "current-context": %[1]q, "clusters": [{"name": %[1]q, "cluster": {"server": %[2]q}}],
		"users": [{"name": %[1]q, "user": {}}], "contexts": [{"name": %[1]q, "context": {"cluster": %[1]q, "user": %[1]q}}]}`, name, s.url), nil
}

func (s *standIns) LoadImages(_ context.Context, name string, open func() (io.ReadCloser, error)) error {
	in, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = append(s.loaded, fmt.Sprintf("%s %d", name, len(data)))
	return nil
}

func (s *standIns) ImageIDs(context.Context, string) (map[string]string, error) { return s.ids, nil }

// newStandIns makes a mesh of the example whose named clusters seem to run.
func newStandIns(t *testing.T, names ...string) (*app, *plan.Mesh, *standIns) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"gitVersion": "v1.36.3", "major": "1", "minor": "36"}`)
	}))
	t.Cleanup(server.Close)
	tp, err := topology.Load(example)
	must(t, err)
	dir, err := state.Open(t.TempDir(), tp.Metadata.Name)
	must(t, err)
	clusters := &standIns{url: server.URL, ids: map[string]string{}}
	for _, name := range names {
		clusters.names = append(clusters.names, tp.KindName(name))
	}
	a := &app{Streams: Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, file: example, output: "table"}
	return a, &plan.Mesh{Topology: tp, State: dir, Provider: clusters, Engine: &clustertest.Engine{}, Owner: "0123456789abcdef"}, clusters
}

func (a *app) printed() (stdout, stderr string) {
	return a.Out.(*bytes.Buffer).String(), a.Err.(*bytes.Buffer).String()
}
