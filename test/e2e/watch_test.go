//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/internal/prober"
	"github.com/meshfed/meshfed/test/promhost"
	"github.com/meshfed/meshfed/topology"
)

// watchAddress is where the watch under test serves its metrics.
const watchAddress = "127.0.0.1:31715"

// watched: a watch sees a remote secret go and come back, a real Prometheus that scrapes it alerts and
// stops to, `verify --baseline` beside it calls the same a regression, and after an interrupt nothing
// of it is left; what a killed one leaves, verify removes.
func watched(t *testing.T, m *mesh) {
	t.Setenv(promhost.RequireEnv, "1")
	cmd := m.command(t.Context(), "verify", "--watch", "--interval", "5s", "--listen", watchAddress)
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(os.Interrupt)
			<-ended
		}
		m.captured.WriteString(stdout.String() + stderr.String())
	})
	p := promhost.Start(t, prober.Rules, map[string][]string{"meshfed-watch": {watchAddress}})
	p.Until("to see a whole mesh", func() bool { return len(p.Samples(`meshfed_check_status == 0`)) == 4 })

	err := m.client("west").Delete(contextFor(t, time.Minute), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.RemoteSecretName("east")}})
	if err != nil {
		t.Fatal(err)
	}
	p.Until("to alert", func() bool { return len(p.Firing("MeshfedPairBroken")) > 0 })
	if got := p.Firing("MeshfedPairBroken"); len(got) != 1 || got[0]["suite"] != "discovery" || got[0]["from"] != "west" || got[0]["to"] != "east" {
		t.Errorf("alerts %v", got)
	}
	// The lock is free meanwhile, and the last report is that of the first `up`.
	r := m.run("verify", "--suite", "discovery", "--baseline", "last")
	if r.code != 3 || !strings.Contains(r.stdout, "new failure: discovery-secret west -> east") || !strings.Contains(r.stdout, "the suite failover is not in this report") || strings.Contains(r.stdout, "discovery-secret east") {
		t.Errorf("verify --baseline last: %s", r)
	}
	m.must("up", "--verify", "never")
	p.Until("to end the alert", func() bool { return len(p.Firing("MeshfedPairBroken")) == 0 })
	if r := m.run("verify", "--suite", "trust", "--baseline", "last"); r.code != 0 || strings.Contains(r.stdout, "trust-") {
		t.Errorf("a mesh as it was: %s", r)
	}

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != 130 || strings.Contains(stderr.String(), "error:") {
		t.Errorf("exit code %d after an interrupt: %s", code, stderr.String())
	}
	for _, want := range []string{"new failure: discovery-secret west -> east", "mended: "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the watch did not print %q:\n%s", want, stdout.String())
		}
	}
	waitUntil(t, m.client("west"), "the probes to be gone", func() (bool, string, error) {
		left := m.probesLeft()
		return len(left) == 0, strings.Join(left, ", "), nil
	})

	// What a kill leaves, the next verify removes.
	m.stop(syscall.SIGKILL, func(out string) bool { return strings.Contains(out, "watching ") }, "verify", "--watch", "--interval", "5s", "--listen", watchAddress)
	if len(m.probesLeft()) == 0 {
		t.Error("a killed watch left nothing")
	}
	m.must("verify", "--suite", "trust")
	if left := m.probesLeft(); len(left) > 0 {
		t.Errorf("after a killed watch, verify left %s", strings.Join(left, ", "))
	}
}

// probers are applied in both clusters, see each other by their certificates, have no rights, and are
// removed without a trace.
func probers(t *testing.T, m *mesh) {
	var record corev1.ConfigMap
	if err := m.client("west").Get(contextFor(t, time.Minute), client.ObjectKey{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap}, &record); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "probers")
	m.must("render", "prober", "-o", dir, "--image", record.Data["probeImage"])
	before := map[string][]string{}
	for _, cluster := range []string{"west", "east"} {
		before[cluster] = clusterWide(t, m.client(cluster))
	}
	for _, cluster := range []string{"west", "east"} {
		if err := m.client(cluster).ApplyValidated(contextFor(t, time.Minute), manifest(t, filepath.Join(dir, cluster+".yaml"))...); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"west": "east", "east": "west"} {
		c := m.client(from)
		waitUntil(t, c, "the prober", func() (bool, string, error) {
			return c.DeploymentState(contextFor(t, time.Minute), topology.ProberNamespace, "prober")
		})
		row := m.row(from)
		for _, want := range []string{
			fmt.Sprintf(`meshfed_check_status{from=%q,to=%q,suite="prober"} 0`, from, to),
			fmt.Sprintf(`meshfed_prober_peer_info{from=%q,to=%q,identity="spiffe://cluster.local/ns/meshfed-prober/sa/prober-%s"`, from, to, to),
		} {
			if !strings.Contains(row, want) {
				t.Errorf("%s is missing in the row of %s:\n%s", want, from, row)
			}
		}
		for verb, resource := range map[string]string{"list": "secrets", "get": "secrets", "create": "pods"} {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + topology.ProberNamespace + ":" + topology.ProberName(from), Groups: []string{"system:serviceaccounts", "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: resource, Namespace: topology.ProberNamespace},
			}}
			if err := c.Create(contextFor(t, time.Minute), review); err != nil {
				t.Fatal(err)
			}
			if review.Status.Allowed {
				t.Errorf("the prober of %s may %s %s", from, verb, resource)
			}
		}
	}
	for _, cluster := range []string{"west", "east"} {
		c := m.client(cluster)
		if err := c.Remove(contextFor(t, time.Minute), manifest(t, filepath.Join(dir, cluster+".yaml"))...); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, c, "the prober's namespace to be gone", func() (bool, string, error) {
			err := c.Get(contextFor(t, time.Minute), client.ObjectKey{Name: topology.ProberNamespace}, &corev1.Namespace{})
			return kube.Absent(err), "still there", client.IgnoreNotFound(err)
		})
		if after := clusterWide(t, c); !slices.Equal(before[cluster], after) {
			t.Errorf("%s: before %v, after %v", cluster, before[cluster], after)
		}
	}
}

// row is what the prober of a cluster exports once every peer has answered as it should, or what it
// exports after a minute.
func (m *mesh) row(cluster string) string {
	t := m.t
	t.Helper()
	c := m.client(cluster)
	pods, err := c.Pods(contextFor(t, time.Minute), topology.ProberNamespace, map[string]string{"app.kubernetes.io/name": "prober"})
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d probers in %s: %v", len(pods), cluster, err)
	}
	forward, err := c.Forward(contextFor(t, 2*time.Minute), topology.ProberNamespace, pods[0].Name, probe.PortMetrics)
	if err != nil {
		t.Fatal(err)
	}
	defer forward.Close()
	text := ""
	o := poll.Options{What: "the row of " + cluster, Interval: time.Second, Deadline: time.Minute}
	_ = poll.Until(t.Context(), o, func(ctx context.Context) (bool, string, error) { // what came of it is judged
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+forward.Addr+"/metrics", nil)
		if err != nil {
			return false, "", err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		text = string(body)
		return strings.Contains(text, `suite="prober"} 0`), "not answered", err
	})
	return text
}

// manifest are the objects of a YAML stream.
func manifest(t *testing.T, path string) []client.Object {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []client.Object
	for _, part := range bytes.Split(data, []byte("\n---\n"))[1:] {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(part, &u.Object); err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

// clusterWide names the namespaces of a cluster, but for those that verify is removing.
func clusterWide(t *testing.T, c *kube.Client) []string {
	t.Helper()
	var list corev1.NamespaceList
	if err := c.List(contextFor(t, time.Minute), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ns := range list.Items {
		if ns.DeletionTimestamp == nil {
			names = append(names, ns.Name)
		}
	}
	return names
}
