// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/meshfed/meshfed/certs"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

const example = "../../examples/two-clusters/topology.yaml"

// with gives the mesh clusters that answer.
func (m *Mesh) with(clusters ...*kubetest.Cluster) *Mesh {
	m.connections = map[string]*connection{}
	for _, c := range clusters {
		m.connections[c.Cluster] = &connection{client: c.Client}
	}
	return m
}

// hinted fails unless err says want and advises hint.
func hinted(t *testing.T, err error, want, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v does not say %q", err, want)
	}
	if hints := strings.Join(diag.Hints(err), "\n"); !strings.Contains(hints, hint) {
		t.Errorf("hints %q do not say %q", hints, hint)
	}
}

// keepRoot puts a root that lives so long where the mesh keeps its own.
func keepRoot(t *testing.T, m *Mesh, lifetime time.Duration) {
	t.Helper()
	root, err := certs.NewRoot(certs.Options{CommonName: "root.x", Lifetime: lifetime, Now: now()})
	if err == nil {
		err = m.store().Create(root)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// plugged is a cacerts secret under a new root.
func plugged(t *testing.T) (*corev1.Secret, string) {
	t.Helper()
	root, err := certs.NewRoot(certs.Options{CommonName: "root.x", Lifetime: 48 * time.Hour, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := root.NewCACerts(certs.Options{CommonName: "west", Lifetime: 24 * time.Hour, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret}, Data: ca.Data(),
	}, certs.Fingerprint(root.Certificate)
}

// TestRootIsNeverMadeAgain: not while any cluster of the file uses one, --clusters or not.
func TestRootIsNeverMadeAgain(t *testing.T) {
	t.Parallel()
	for name, selected := range map[string][]string{"all": nil, "the cluster": {"west"}, "another cluster": {"east"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secret, fingerprint := plugged(t)
			m := newMesh(t, example).with(kubetest.New(t, "west", secret))
			m.Clusters = selected
			_, looked := root{m}.Look(t.Context())
			for _, err := range []error{looked, root{m}.Do(t.Context(), graph.Change{})} {
				hinted(t, err, "west already uses root "+fingerprint, "put root.pem and root.key there")
			}
			if m.HasRoot() {
				t.Error("it was made all the same")
			}
		})
	}
}

func TestRootIsMadeOnce(t *testing.T) {
	t.Parallel()
	m := newMesh(t, example).with(kubetest.New(t, "west"))
	step := root{m}
	if change, err := step.Look(t.Context()); err != nil || change.Action != graph.Create {
		t.Fatalf("%+v, %v", change, err)
	}
	if err := step.Do(t.Context(), graph.Change{}); err != nil {
		t.Fatal(err)
	}
	if change, err := step.Look(t.Context()); err != nil || change.Needed() {
		t.Errorf("%+v, %v", change, err)
	}
	if err := step.Do(t.Context(), graph.Change{}); err == nil {
		t.Error("it was made again over the first")
	}
}

// TestRootWaitsForAnAnswer: a cluster that is there and does not answer may use a root.
func TestRootWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west")
	c.Fail("get", "Secret", topology.CACertsSecret, errors.New("connection refused"), 0)
	m := newMesh(t, example).with(c)
	if err := (root{m}).Do(t.Context(), graph.Change{}); err == nil || m.HasRoot() {
		t.Errorf("error %v, root made: %v", err, m.HasRoot())
	}
}

func owned(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap}, Data: data}
}

func TestOwnershipOfAnotherTopology(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]map[string]string{
		"topology": {"topology": "other", "owner": "0123456789abcdef"},
		"owner":    {"topology": "usmesh", "owner": "fedcba9876543210"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west", owned(data))
			_, err := ownership{newMesh(t, example)}.Look(t.Context(), c.Client)
			hinted(t, err, "belongs to topology "+data["topology"]+", owner "+data["owner"], "choose another metadata.name")
			if writes := c.Writes(); len(writes) > 0 {
				t.Errorf("it wrote %v", writes)
			}
		})
	}
}

// TestRecordKeepsItsImages: a cluster has the images of the bundle that it was made from, whatever
// bundle is at hand now; but for the probe, which has to be that of this program.
func TestRecordKeepsItsImages(t *testing.T) {
	t.Parallel()
	withProbe := func(tag, substitution string) *bundle.Bundle {
		return &bundle.Bundle{Manifest: bundle.Manifest{Substitutions: []string{substitution},
			Images: []bundle.Image{{Name: bundle.ProbeRepository + ":" + tag}}}}
	}
	ctx, m, c := t.Context(), newMesh(t, example), kubetest.New(t, "west")
	m.with(c)
	step := ownership{m}
	m.Bundle = withProbe("first", "envoy")
	if change, err := step.Look(ctx, c.Client); err != nil || change.Action != graph.Create {
		t.Fatalf("%+v, %v", change, err)
	}
	if err := step.Do(ctx, c.Client, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	want := "first"
	for i, b := range []*bundle.Bundle{withProbe("first", "other"), nil, withProbe("second", "other"), withProbe("second", "third"), nil} {
		m.Bundle = b
		change, err := step.Look(ctx, c.Client)
		if err != nil || change.Needed() != (i == 2) {
			t.Errorf("bundle %d: %+v, %v", i, change, err)
		}
		if i == 2 {
			want = "second"
		}
		if err := step.Do(ctx, c.Client, graph.Change{}); err != nil {
			t.Fatal(err)
		}
		image, err := m.probeImage(ctx, map[string]*kube.Client{c.Cluster: c.Client})
		if err != nil || image != bundle.ProbeRepository+":"+want {
			t.Errorf("probe image %q, %v", image, err)
		}
		if got := m.Substituted(ctx); !slices.Equal(got, []string{"envoy"}) {
			t.Errorf("substitutions %q", got)
		}
	}
	_, err := newMesh(t, example).probeImage(ctx, nil)
	hinted(t, err, "no cluster says which probe image it has", "spec.verify.probe.image")
}

func TestRecoverOwner(t *testing.T) {
	t.Parallel()
	const theirs = "fedcba9876543210"
	network := func(of string) clustertest.Answer {
		return clustertest.Answer{To: "network inspect", Out: `[{"name": "meshfed-usmesh", "labels": {"meshfed.io/topology": "` + of + `", "meshfed.io/owner": "` + theirs + `"}}]`}
	}
	none := clustertest.Answer{To: "network inspect", Fails: "Error: no such network"}
	for name, test := range map[string]struct {
		engine      clustertest.Answer
		make, kept  bool
		want, fails string
		found       bool
	}{
		"of the state folder":         {engine: network("usmesh"), kept: true, want: "0123456789abcdef", found: true},
		"of the network":              {engine: network("usmesh"), want: theirs, found: true},
		"of the network, and kept":    {engine: network("usmesh"), make: true, want: theirs, found: true},
		"not of another's network":    {engine: network("other")},
		"nothing is there":            {engine: none},
		"nothing is there, a new one": {engine: none, make: true, want: "new", found: true},
		"the engine does not answer":  {engine: clustertest.Answer{To: "network inspect", Fails: "Error: cannot connect"}, make: true, fails: "cannot connect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			m.Owner, m.Engine = "", &clustertest.Engine{Answers: []clustertest.Answer{test.engine}}
			if test.kept {
				if err := m.State.SetOwner(test.want); err != nil {
					t.Fatal(err)
				}
			}
			found, err := m.RecoverOwner(t.Context(), test.make)
			if test.fails != "" {
				hinted(t, err, test.fails, "")
			} else if err != nil {
				t.Fatal(err)
			}
			if test.want == "new" && len(m.Owner) == 16 {
				test.want = m.Owner
			}
			if found != test.found || m.Owner != test.want {
				t.Errorf("found %v, owner %q; want %v, %q", found, m.Owner, test.found, test.want)
			}
			recorded, err := m.State.Owner()
			if wrote := err == nil; wrote != (test.kept || test.make && test.fails == "") || wrote && recorded != m.Owner {
				t.Errorf("recorded %q, %v", recorded, err)
			}
		})
	}
}

// TestPreflight refuses a container network that can not serve, and a root that ends too soon.
func TestPreflight(t *testing.T) {
	t.Parallel()
	ours := `"labels": {"meshfed.io/topology": "usmesh", "meshfed.io/owner": "0123456789abcdef"}`
	for name, test := range map[string]struct {
		network, says, hint string
		disk                uint64
		foreign, shortRoot  bool
	}{
		"root":     {network: `"subnets": [{"subnet": "10.90.0.0/24"}], ` + ours, disk: 1 << 40, shortRoot: true, says: "an intermediate for west would live 17520h", hint: "spec.certificates.intermediate.lifetime"},
		"apart":    {network: `"subnets": [{"subnet": "10.90.0.0/24"}], ` + ours, disk: 1 << 40},
		"overlaps": {network: `"subnets": [{"subnet": "10.100.0.0/24"}], ` + ours, disk: 1 << 40, says: "overlaps 10.100.0.0/24", hint: "choose another podSubnet"},
		"disk":     {network: `"subnets": [{"subnet": "10.90.0.0/24"}], ` + ours, disk: 1 << 30, says: "about 4.0 GiB are needed", hint: "system df"},
		"foreign":  {network: `"subnets": [{"subnet": "10.90.0.0/24"}]`, disk: 1 << 40, foreign: true, says: "not made by this topology", hint: "podman network rm meshfed-usmesh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			for i := range m.Topology.Spec.Clusters { // ports are the host's, which this test must not ask
				m.Topology.Spec.Clusters[i].Ingress = nil
			}
			m.Facts = cluster.Facts{Engine: "podman", FreeDisk: test.disk}
			engine := &clustertest.Engine{Answers: []clustertest.Answer{{To: "network inspect", Out: `[{"name": "meshfed-usmesh", ` + test.network + `}]`}}}
			m.Engine = engine
			if test.foreign {
				m.Provider = noClusters{err: cluster.ErrForeign}
			}
			if test.shortRoot {
				keepRoot(t, m, 48*time.Hour)
			}
			err := m.Preflight(t.Context())
			if test.says == "" && err != nil {
				t.Fatal(err)
			}
			if test.says != "" {
				hinted(t, err, test.says, test.hint)
			}
			if calls := engine.Calls("network create"); len(calls) > 0 || m.HasRoot() != test.shortRoot {
				t.Errorf("it made something: %v", calls)
			}
		})
	}
}

// TestNothingIsMadeWithoutNetwork: neither key nor node image come before the container network.
func TestNothingIsMadeWithoutNetwork(t *testing.T) {
	t.Parallel()
	for _, s := range Up(newMesh(t, example)) {
		if (s.ID == "root" || s.ID == "node-image") && !slices.Contains(s.Needs, "network") {
			t.Errorf("%s does not need the network", s.ID)
		}
	}
}

// failing is a provider in which making the cluster west fails.
type failing struct{ noClusters }

func (failing) Ensure(_ context.Context, s cluster.Spec) error {
	if s.Name == "usmesh-west" {
		return diag.Hint(errors.New("no space left"), "df -h")
	}
	return nil
}

func (failing) Kubeconfig(context.Context, string, cluster.Vantage) ([]byte, error) {
	return nil, errors.New("its API does not answer")
}

// TestFailureNamesClusterAndBlocksTheRest: what needs the failed step is blocked by name, the
// other cluster is tried all the same, what exists stays.
func TestFailureNamesClusterAndBlocksTheRest(t *testing.T) {
	t.Parallel()
	m := newMesh(t, example)
	m.Bundle, m.Provider = &bundle.Bundle{Manifest: bundle.Manifest{NodeImage: "localhost/node:new"}}, failing{}
	steps := onlyIn(Up(m), "west", "east")
	result := graph.Run(t.Context(), steps, graph.Options{})
	err := result.Err()
	hinted(t, err, "cluster@west: creating: west: making the kind cluster: no space left", "df -h")
	hinted(t, err, "cluster@east: creating: east: getting a kubeconfig: its API does not answer", "")
	if diag.Cluster(err) != "west" {
		t.Errorf("cluster %q", diag.Cluster(err))
	}
	for _, o := range result.Outcomes {
		id := o.Step.ID
		switch {
		case strings.HasPrefix(id, "cluster@"):
			if o.Status != graph.Failed {
				t.Errorf("%s: %s", id, o.Status)
			}
		case o.Status != graph.Blocked || !slices.Contains(o.BlockedBy, "cluster@"+o.Step.Cluster):
			t.Errorf("%s: %s by %v", id, o.Status, o.BlockedBy)
		}
	}
}

// TestNodeImageIsForNewClusters: another bundle than the one that running clusters were made
// from is not loaded for nothing.
func TestNodeImageIsForNewClusters(t *testing.T) {
	t.Parallel()
	const image = "localhost/node:new"
	dir := bundleOf(t, image)
	for state, want := range map[cluster.State]graph.Action{
		cluster.Ready: graph.None, cluster.Stopped: graph.None, cluster.Absent: graph.Create, cluster.HalfMade: graph.Create,
	} {
		m := newMesh(t, example)
		m.Bundle = &bundle.Bundle{Dir: dir, Manifest: bundle.Manifest{NodeImage: image}}
		m.Engine = &clustertest.Engine{Answers: []clustertest.Answer{{To: "image inspect", Fails: "Error: image not known"}}}
		m.Provider = looking{state: state}
		change, err := nodeImage{m}.Look(t.Context())
		if err != nil || change.Action != want {
			t.Errorf("%s: %+v, %v", state, change, err)
		}
	}
}

// bundleOf is a folder that holds a node image and nothing else.
func bundleOf(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	l, err := layout.Write(filepath.Join(dir, "node"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	node, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(node, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": image})); err != nil {
		t.Fatal(err)
	}
	return dir
}

// looking is a provider whose clusters are all in one state.
type looking struct {
	noClusters
	state cluster.State
}

func (l looking) Look(context.Context, cluster.Spec) (cluster.Status, error) {
	return cluster.Status{State: l.state}, nil
}

func TestExpiring(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		age, left time.Duration
		soon      bool
		note      string
	}{
		"new":                      {0, 30 * time.Hour, false, ""},
		"more than a third left":   {19 * time.Hour, 11 * time.Hour, false, ""},
		"less than a third left":   {21 * time.Hour, 9 * time.Hour, true, "less than a third of its lifetime is left: 9h0m0s"},
		"the last second":          {30 * time.Hour, time.Second, true, "less than a third"},
		"over":                     {30 * time.Hour, -time.Second, true, "EXPIRED"},
		"over, and granted lately": {time.Second, -time.Hour, true, "EXPIRED"},
	} {
		at := now()
		got := expiring(Credential{Expires: at.Add(test.left)}, at.Add(-test.age))
		if got.Soon != test.soon || !strings.HasPrefix(got.Note, test.note) || got.Soon != (got.Note != "") {
			t.Errorf("%s: soon %v, %q", name, got.Soon, got.Note)
		}
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	ready := ClusterStatus{State: "ready", Credentials: []Credential{{Kind: "root CA"}}}
	soon := ClusterStatus{State: "ready", Credentials: []Credential{{Kind: "root CA"}, {Kind: "remote secret", Soon: true}}}
	for name, test := range map[string]struct {
		clusters []ClusterStatus
		want     bool
	}{
		"all ready":       {[]ClusterStatus{ready, ready}, true},
		"one is absent":   {[]ClusterStatus{ready, {State: "absent"}}, false},
		"one ends soon":   {[]ClusterStatus{ready, soon}, false},
		"one is not told": {[]ClusterStatus{{}}, false},
	} {
		if got := (Status{Clusters: test.clusters}).Healthy(); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAbsentClusterIsAnAnswer: status of a mesh that is half there.
func TestAbsentClusterIsAnAnswer(t *testing.T) {
	t.Parallel()
	m := newMesh(t, example)
	s, err := m.Status(t.Context())
	if err != nil || len(s.Clusters) != 2 || s.Clusters[0].State != "absent" || s.Clusters[0].Credentials == nil || s.Healthy() {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := m.ToVerify(t.Context(), false); !errors.Is(err, ErrNoCluster) {
		t.Errorf("there is nothing to verify, and ToVerify says %v", err)
	}
	if _, err := m.Kubeconfig(t.Context(), []string{"west"}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("Kubeconfig: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.Provider = noClusters{err: context.Canceled}
	if _, err := m.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted status says %v", err)
	}
	if hasFile(m.State.Path) {
		t.Errorf("looking left %s", m.State.Path)
	}
}
