// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

func fixture(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// dnsNetwork is a network of podman's that serves names.
const dnsNetwork = `[{"name": "meshfed-lab", "dns_enabled": true, "subnets": [{"subnet": "10.90.0.0/24", "gateway": "10.90.0.1"}]}]`

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	admin := adminKubeconfig(t, nil, "planted-token")
	p, _, _ := fakeProvider(t, "ok", append(exists("running", "meshfed-lab", 41234), clustertest.Answer{To: "exec lab-west-control-plane cat", Out: admin},
		clustertest.Answer{To: "network inspect", Out: dnsNetwork})...)
	for from, server := range map[cluster.Vantage]string{cluster.FromHost: "https://127.0.0.1:41234", cluster.FromNetwork: "https://lab-west-control-plane:6443"} {
		data, err := p.Kubeconfig(t.Context(), "lab-west", from)
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.Load(data)
		if err != nil {
			t.Fatal(err)
		}
		context := config.Contexts["lab-west"]
		if config.CurrentContext != "lab-west" || len(config.Contexts) != 1 || context.Cluster != "lab-west" || context.AuthInfo != "lab-west" {
			t.Errorf("names: %+v", config.Contexts)
		}
		if got := config.Clusters["lab-west"].Server; got != server {
			t.Errorf("server %s instead of %s", got, server)
		}
		if config.AuthInfos["lab-west"].Token != "planted-token" {
			t.Error("the credentials are lost")
		}
	}
}

func TestWriteKubeconfig(t *testing.T) {
	t.Parallel()
	admin := adminKubeconfig(t, nil, "planted-token")
	p, _, _ := fakeProvider(t, "ok", append(exists("running", "meshfed-lab", 41234), clustertest.Answer{To: "exec lab-west-control-plane cat", Out: admin})...)
	path := filepath.Join(t.TempDir(), "state", "west.kubeconfig")
	for range 2 {
		if err := p.WriteKubeconfig(t.Context(), "lab-west", path); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	}
}

func TestBadKubeconfigIsNotShown(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"no yaml":    "token: planted-secret: : [",
		"no context": "apiVersion: v1\nkind: Config\nusers: [{name: x, user: {token: planted-secret}}]\n",
		"empty":      "",
	} {
		if _, err := rename([]byte(data), "x", "https://x"); err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInternalServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ network, want string }{
		"names":     {dnsNetwork, "https://lab-west-control-plane:6443"},
		"addresses": {`[{"name": "meshfed-lab", "subnets": [{"subnet": "10.90.0.0/24"}]}]`, "https://10.90.0.2:6443"},
	} {
		p, _, _ := fakeProvider(t, "ok", append(exists("running", "meshfed-lab", 1), clustertest.Answer{To: "network inspect", Out: test.network})...)
		if got, err := p.InternalServer(t.Context(), "lab-west"); err != nil || got != test.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	p, _, _ := fakeProvider(t, "ok", nothing()...)
	if _, err := p.InternalServer(t.Context(), "lab-west"); err == nil || !strings.Contains(err.Error(), "lab-west") {
		t.Errorf("absent: %v", err)
	}
}
