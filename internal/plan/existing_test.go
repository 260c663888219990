// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// secretToken is what must be found nowhere.
const secretToken = "the-users-own-token-93fd"

// apiServer answers who has the token with its version, and others with 401.
func apiServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secretToken {
			http.Error(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401}`, http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"gitVersion": "v1.36.3", "major": "1", "minor": "36"}`)
	}))
	t.Cleanup(server.Close)
	return server
}

// tunnel is an HTTP proxy that counts who came through.
func tunnel(t *testing.T, through *atomic.Int32) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		through.Add(1)
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		go func() { _, _ = io.Copy(here, there); _ = here.Close() }()
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// ownMesh is a topology with one cluster of the user's own, whose kubeconfig has that user.
func ownMesh(t *testing.T, server *httptest.Server, cluster, user string) *Mesh {
	t.Helper()
	dir := t.TempDir()
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters:\n- {name: c, cluster: {server: %q, certificate-authority-data: %s%s}}\nusers:\n- {name: u, user: {%s}}\ncontexts:\n- {name: prod, context: {cluster: c, user: u}}\n",
		server.URL, ca, cluster, user)
	for name, content := range map[string]string{
		"kubeconfig": text, "token": secretToken,
		"topology.yaml": "apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: usmesh}\nspec:\n  credentials: {lifetime: 24h, refresh: Manual}\n" +
			"  clusters: [{name: west}, {name: east, provider: {kubeconfig: {path: kubeconfig, context: prod}}}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tp, err := topology.Load(filepath.Join(dir, "topology.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := state.Open(t.TempDir(), "usmesh")
	if err != nil {
		t.Fatal(err)
	}
	return &Mesh{Topology: tp, State: st, Engine: noEngine{}, Provider: noClusters{}, Owner: "0123456789abcdef"}
}

// TestUsersOwnAccess: whatever kubectl can use works, and nothing of it is kept.
func TestUsersOwnAccess(t *testing.T) {
	t.Parallel()
	server := apiServer(t)
	plugin, err := filepath.Abs("testdata/fake-cloud-login")
	if err != nil {
		t.Fatal(err)
	}
	var through atomic.Int32
	for name, test := range map[string]struct{ cluster, user string }{
		"a token":               {"", "token: " + secretToken},
		"a token file":          {"", "tokenFile: token"},
		"a plugin":              {"", fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never, env: [{name: FAKE_TOKEN, value: %s}]}", plugin, secretToken)},
		"a token and a proxy":   {", proxy-url: " + tunnel(t, &through), "token: " + secretToken},
		"a plugin with a proxy": {", proxy-url: " + tunnel(t, &through), fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never, env: [{name: FAKE_TOKEN, value: %s}]}", plugin, secretToken)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := ownMesh(t, server, test.cluster, test.user)
			before := through.Load()
			c, err := m.Client(t.Context(), "east")
			if err != nil {
				t.Fatal(err)
			}
			if version, err := c.Version(t.Context()); err != nil || version != "v1.36.3" {
				t.Errorf("version %q, %v", version, err)
			}
			if test.cluster != "" && through.Load() == before {
				t.Error("the proxy was not used")
			}
			nothingKept(t, m.State.Path)
		})
	}
}

func nothingKept(t *testing.T, folder string) {
	t.Helper()
	_ = filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(data), secretToken) || strings.Contains(string(data), "kind: Config") {
			t.Errorf("%s holds what belongs to the user: %v", path, err)
		}
		return nil
	})
}

// TestUsersOwnAccessRefused: what is wrong with a plugin or a token is told with the cluster, and
// without the token.
func TestUsersOwnAccessRefused(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]string{
		"a wrong token":         "token: another",
		"a plugin that is gone": "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-cloud-login, interactiveMode: Never}",
		"a token file of none":  "tokenFile: nowhere",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ownMesh(t, apiServer(t), "", user).Client(t.Context(), "east")
			if err == nil || !strings.Contains(err.Error(), "east") || strings.Contains(err.Error(), "another") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestPeersOfALoopback: the address of a user's kubeconfig that only this host reaches is refused
// for peers, and what the file says is taken.
func TestPeersOfALoopback(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	_, err := m.peerServer(t.Context(), "east")
	hinted(t, err, "loopback", "apiServer.peerAddress")
	m.Topology.Cluster("east").APIServer.PeerAddress = "https://10.0.0.5:6443"
	if got, err := m.peerServer(t.Context(), "east"); err != nil || got != "https://10.0.0.5:6443" {
		t.Errorf("%q, %v", got, err)
	}
}

// only looks as it is told.
type only graph.Change

func (o only) Look(context.Context, *kube.Client) (graph.Change, error) { return graph.Change(o), nil }

// TestCheckedIsNeverWritten: what somebody else owns is an error when it is missing, and no change.
func TestCheckedIsNeverWritten(t *testing.T) {
	t.Parallel()
	c := newKube(t, "east")
	_, err := checked{only{Action: graph.Create, Reason: "there is no istiod"}, "istio"}.Look(t.Context(), c.Client)
	hinted(t, err, "there is no istiod, and manage.istio is false", "manage: {istio: true}")
	change, err := checked{only{Action: graph.None}, "istio"}.Look(t.Context(), c.Client)
	if err != nil || change.Needed() {
		t.Errorf("%+v, %v", change, err)
	}
}

// TestUpOfOwnClusters: no engine, no image and no load balancer for what is the user's own.
func TestUpOfOwnClusters(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	ids := map[string]bool{}
	steps := Up(m)
	if err := graph.Validate(steps); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		ids[s.ID] = true
	}
	for id, want := range map[string]bool{"loadbalancer@west": true, "loadbalancer@east": true, "cluster@east": true, "node-labels@east": false, "remote-secret@west:east": true, "network": true} {
		if ids[id] != want {
			t.Errorf("step %s: %v, want %v", id, ids[id], want)
		}
	}
	m.Clusters = []string{"east"}
	for _, s := range Up(m) {
		if s.ID == "network" || s.ID == "node-image" {
			t.Errorf("step %s, and no cluster is to be made", s.ID)
		}
	}
}

// TestMissingIsFoundFirst: what somebody else owns and is not there is told before anything is
// made; what can only come after that is not asked for.
func TestMissingIsFoundFirst(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	c := newKube(t, "east")
	for name, test := range map[string]struct {
		manage topology.Manage
		want   []string
	}{
		"all managed":                          {topology.Manage{Istio: true, Gateways: true, CACerts: true, RemoteSecrets: true}, nil},
		"intermediates":                        {topology.Manage{Istio: true, Gateways: true, RemoteSecrets: true}, []string{"manage.cacerts"}},
		"gateways of an Istio that is to come": {topology.Manage{Istio: true, CACerts: true, RemoteSecrets: true}, nil},
		"Istio":                                {topology.Manage{Gateways: true, RemoteSecrets: true}, []string{"manage.cacerts", "manage.istio", "manage.istio", "manage.istio"}},
		"Istio, which waits for cacerts":       {topology.Manage{CACerts: true, RemoteSecrets: true}, []string{"there is no namespace istio-system, and manage.istio"}},
		"credentials of a peer whose Istio is to come": {topology.Manage{Istio: true, Gateways: true, CACerts: true}, nil},
	} {
		m.Topology.Cluster("east").Manage = test.manage
		errs := m.missing(t.Context(), "east", c.Client)
		if len(errs) != len(test.want) {
			t.Errorf("%s: %v", name, errs)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(errs[i].Error(), want) {
				t.Errorf("%s: %v does not say %q", name, errs[i], want)
			}
		}
	}
}

// TestCommandsOfOthersLayers: what is only checked is no command of ours.
func TestCommandsOfOthersLayers(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	m.Topology.Cluster("east").Manage = topology.Manage{RemoteSecrets: true}
	run := map[string]Command{}
	for _, c := range Commands(m, Up(m)) {
		run[c.Step] = c
	}
	for step, field := range map[string]string{"istiod@east": "istio", "mtls@east": "istio", "eastwest@east": "gateways", "expose@east": "gateways", "cacerts@east": "cacerts"} {
		if c := run[step]; c.Shell != "" || !strings.Contains(c.Note, "manage."+field+" is false for east") {
			t.Errorf("%s: %q, %q", step, c.Note, c.Shell)
		}
	}
	for _, step := range []string{"istiod@west", "remote-secret@east:west", "remote-secret@west:east"} {
		if run[step].Shell == "" {
			t.Errorf("%s is not run", step)
		}
	}
	m.Topology.Cluster("east").Manage.RemoteSecrets = false
	for _, c := range Commands(m, Up(m)) {
		if c.Step == "remote-secret@east:west" && c.Shell != "" {
			t.Errorf("%s is run: %s", c.Step, c.Shell)
		}
	}
}

// TestIntermediatesEndBeforeTheirRoot: a root that ends too soon, the user's or ours, is found
// before anything is made, in clusters of both kinds and by plan too; those that have their
// intermediate and keep it need none.
func TestIntermediatesEndBeforeTheirRoot(t *testing.T) {
	t.Parallel()
	secret, _ := plugged(t)
	east, west := newKube(t, "east"), newKube(t, "west")
	served, servedWest := newKube(t, "east", secret), newKube(t, "west", secret.DeepCopy())
	for name, test := range map[string]struct {
		clusters []*kubetest.Cluster
		change   func(*Mesh)
		refused  string
	}{
		"one of the user's":                 {[]*kubetest.Cluster{servedWest, east}, nil, "east"},
		"a kind cluster that is not there":  {[]*kubetest.Cluster{served}, func(m *Mesh) { m.Provider = noClusters{} }, "west"},
		"a kind cluster without":            {[]*kubetest.Cluster{west, served}, nil, "west"},
		"a kind cluster left half-made":     {[]*kubetest.Cluster{servedWest, served}, func(m *Mesh) { m.Provider.(*hosted).status.State = cluster.HalfMade }, "west"},
		"a kind cluster to be made anew":    {[]*kubetest.Cluster{servedWest, served}, func(m *Mesh) { m.Replace = []string{"west"} }, "west"},
		"a kind cluster that does not talk": {[]*kubetest.Cluster{served}, nil, ""},
		"both have theirs":                  {[]*kubetest.Cluster{servedWest, served}, nil, ""},
		"one that is not asked for":         {[]*kubetest.Cluster{west, served}, func(m *Mesh) { m.Clusters = []string{"east"} }, ""},
		"somebody else brings it":           {[]*kubetest.Cluster{servedWest, east}, func(m *Mesh) { m.Topology.Cluster("east").Manage.CACerts = false }, ""},
		"it lives shorter": {[]*kubetest.Cluster{west, east}, func(m *Mesh) {
			m.Topology.Spec.Certificates.Intermediate.Lifetime = topology.Duration(24 * time.Hour)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
			m.Provider = &hosted{names: []string{"usmesh-west"}, status: cluster.Status{State: cluster.Ready}}
			keepRoot(t, m, 48*time.Hour)
			if m.with(test.clusters...); test.change != nil {
				test.change(m)
			}
			_, err := (root{m}).Look(t.Context())
			if test.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			hinted(t, err, "an intermediate for "+test.refused+" would live 17520h, and the root in "+m.State.PKI()+" ends on ", "spec.certificates.intermediate.lifetime")
			for _, c := range test.clusters {
				if c != west && c != east {
					continue // it has one already
				}
				if _, late := m.caCerts(m.install()).Look(t.Context(), c.Client); late == nil || c.Cluster == test.refused && late.Error() != err.Error() {
					t.Errorf("its own step says it in other words: %v", late)
				}
			}
		})
	}
}

// TestPermissions: what the credentials must allow is what would be written, and no more.
func TestPermissions(t *testing.T) {
	t.Parallel()
	const rest = "patch namespaces; patch configmaps kube-system; create secrets istio-system; create serviceaccounts/token istio-system; create pods/portforward istio-system"
	for name, test := range map[string]struct {
		manage   topology.Manage
		balancer string
		want     string
	}{
		"all": {topology.Manage{Istio: true, Gateways: true, CACerts: true, RemoteSecrets: true}, topology.LoadBalancerExisting,
			"patch namespaces; patch configmaps kube-system; patch deployments istio-system; create secrets istio-system; create serviceaccounts/token istio-system; create pods/portforward istio-system; patch clusterroles; patch customresourcedefinitions; patch mutatingwebhookconfigurations"},
		"credentials alone":       {topology.Manage{RemoteSecrets: true}, topology.LoadBalancerExisting, rest},
		"credentials and MetalLB": {topology.Manage{RemoteSecrets: true}, topology.LoadBalancerMetalLB, rest + "; patch clusterroles; patch customresourcedefinitions"},
	} {
		m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
		m.Topology.Cluster("east").Manage, m.Topology.Cluster("east").LoadBalancer.Type = test.manage, test.balancer
		c := newKube(t, "east")
		asked := 0
		c.Admit(func(obj client.Object) error { asked++; obj.SetName(fmt.Sprint("review-", asked)); return nil })
		errs := m.mayNot(t.Context(), c.Client)
		if len(errs) != 1 || errs[0].Error() != "the credentials do not allow: "+test.want {
			t.Errorf("%s: %v", name, errs)
		}
	}
}
