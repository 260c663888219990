// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// TestMain keeps tests away from the logins, the caches and the registries of the machine that
// they run on.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "meshfed-plan-")
	// Nothing but loopback, for which proxies are not asked, can be reached through it.
	const nowhere = "http://127.0.0.1:1"
	for name, value := range map[string]string{
		"HOME": dir, "DOCKER_CONFIG": filepath.Join(dir, "docker"), "XDG_CACHE_HOME": filepath.Join(dir, "cache"), "XDG_CONFIG_HOME": dir,
		"XDG_RUNTIME_DIR": dir, "REGISTRY_AUTH_FILE": filepath.Join(dir, "auth.json"), "HTTPS_PROXY": nowhere, "https_proxy": nowhere,
		"HTTP_PROXY": nowhere, "http_proxy": nowhere, "NO_PROXY": "", "no_proxy": "",
	} {
		err = errors.Join(err, os.Setenv(name, value))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// onePath makes the programs of one folder all that there are: name runs a shell script, and
// without a name there is none.
func onePath(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if name != "" {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

// hosted is a provider whose clusters are all alike. It makes what it is told to make ready.
type hosted struct {
	cluster.Provider
	names     []string
	status    cluster.Status
	images    []string
	ports     map[int]int
	lookErr   error
	listErr   error
	imagesErr error
	loadErr   error
	portsErr  error

	// unrouted is what Unrouted says until Route was called.
	unrouted []string

	mu      sync.Mutex
	cuts    []string
	routed  []string   // from, to and subnets of each Route
	loaded  [][]string // names in each archive
	ensured []cluster.Spec
}

func (h *hosted) List(context.Context) ([]string, error) { return h.names, h.listErr }

func (h *hosted) Look(context.Context, cluster.Spec) (cluster.Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status, h.lookErr
}

func (h *hosted) Ensure(_ context.Context, s cluster.Spec) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ensured, h.status = append(h.ensured, s), cluster.Status{State: cluster.Ready}
	return nil
}

func (h *hosted) Kubeconfig(context.Context, string, cluster.Vantage) ([]byte, error) {
	return nil, errNoKubeconfig
}

// errNoKubeconfig is as far as making a cluster gets here.
var errNoKubeconfig = errors.New("no kubeconfig in this test")

func (h *hosted) InternalServer(context.Context, string) (string, error) {
	return "", errors.New("not used by these tests")
}

func (h *hosted) Unrouted(context.Context, string, string, map[string]netip.Prefix) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.routed) > 0 {
		return nil, nil
	}
	return h.unrouted, nil
}

func (h *hosted) Route(_ context.Context, name, other string, pods map[string]netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.routed = append(h.routed, fmt.Sprint(name, " to ", other, " ", pods))
	return nil
}

func (h *hosted) Cut(_ context.Context, name string, others []string, ranges []topology.AddressRange, lasts time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cuts = append(h.cuts, fmt.Sprint("cut ", name, " ", others, " ", ranges, " ", lasts))
	return nil
}

func (h *hosted) Mend(_ context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cuts = append(h.cuts, "mend "+name)
	return nil
}

func (h *hosted) Ports(context.Context, string) (map[int]int, error) { return h.ports, h.portsErr }

func (h *hosted) Images(context.Context, string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.images, h.imagesErr
}

// LoadImages reads the archive as nodes do, and has its images from then on.
func (h *hosted) LoadImages(_ context.Context, _ string, open func() (io.ReadCloser, error)) error {
	in, err := open()
	if err != nil {
		return err
	}
	names, err := namesIn(in)
	if err = errors.Join(err, in.Close()); err != nil {
		return errors.New("ctr: unexpected EOF") // a program does not know why its input ended
	}
	if h.loadErr != nil {
		return h.loadErr
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loaded, h.images = append(h.loaded, names), append(h.images, names...)
	return nil
}

// namesIn lists the names of the images in an archive.
func namesIn(in io.Reader) ([]string, error) {
	var index []struct{ RepoTags []string }
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if header.Name == "manifest.json" {
			if err := json.NewDecoder(r).Decode(&index); err != nil {
				return nil, err
			}
		}
	}
	var names []string
	for _, image := range index {
		names = append(names, image.RepoTags...)
	}
	return names, nil
}

// versioned gives a cluster in memory an API server that tells its version.
func versioned(t *testing.T, c *kubetest.Cluster) *kubetest.Cluster {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"gitVersion": "v1.36.3", "major": "1", "minor": "36"}`)
	}))
	t.Cleanup(server.Close)
	real, err := kube.ForConfig(c.Cluster, &rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.REST, c.Clientset = real.REST, real.Clientset
	return c
}

func newKube(t *testing.T, name string, objs ...client.Object) *kubetest.Cluster {
	t.Helper()
	return kubetest.New(t, name, objs...)
}
