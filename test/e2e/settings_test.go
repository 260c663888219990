//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"istio.io/istio/manifests"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// TestIstioSettings is examples/istio-settings: revision and tag, DNS proxying, cluster-local
// services, gateway hosts, namespaces and settings for one cluster, each seen for real. Then a
// value changes, charts come from a folder, and a minor version may not change.
func TestIstioSettings(t *testing.T) {
	before := inventory(t, podman(), "")
	example, err := os.ReadFile("../../examples/istio-settings/topology.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := meshOf(t, podman(), "mfe2eset", strings.Replace(string(example), "name: settings", "name: mfe2eset", 1))
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	steps := []struct {
		name string
		run  func(*testing.T, *mesh)
	}{
		{"up by revision and tag", settingsUp},
		{"up again changes nothing", upAgain},
		{"namespaces are there and labelled", settingsNamespaces},
		{"names, cluster-local services and gateway hosts", settingsTraffic},
		{"a changed value updates istiod of one cluster", settingsChange},
		{"charts from a folder, a patch is an update, then is kept", settingsCharts},
		{"a minor version is not changed", settingsMinor},
		{"down", func(t *testing.T, m *mesh) { m.must("down", "--delete-certs", "--yes") }},
	}
	for _, step := range steps {
		ok := t.Run(step.name, func(t *testing.T) { m.t = t; step.run(t, m) })
		m.t = t
		if !ok {
			t.Fatalf("%s: the rest builds on it", step.name)
		}
	}
	sameInventory(t, before, inventory(t, m.engine, m.state))
}

func settingsUp(t *testing.T, m *mesh) {
	r := m.must("up", "--verify", "always", "-v")
	t.Log(r.stdout)
	if status := m.must("status"); strings.Count(status.stdout, "1.31.0") != 2 || strings.Count(status.stdout, "ready") != 2 {
		t.Errorf("status:\n%s", status)
	}
}

func settingsNamespaces(t *testing.T, m *mesh) {
	for _, cluster := range []string{"west", "east"} {
		for name, want := range map[string]string{"shop": "stable", "cache": "stable", "batch": ""} {
			var ns corev1.Namespace
			if err := m.client(cluster).Get(t.Context(), client.ObjectKey{Name: name}, &ns); err != nil {
				t.Fatal(err)
			}
			if got := ns.Labels[topology.LabelRevision]; got != want || ns.Labels[topology.LabelTopology] != m.name {
				t.Errorf("%s in %s has labels %v", name, cluster, ns.Labels)
			}
		}
	}
}

// settingsTraffic calls from west what east has.
func settingsTraffic(t *testing.T, m *mesh) {
	west, east := m.client("west"), m.client("east")
	image := probeImage(t, west)
	for _, at := range []struct {
		c               *kube.Client
		namespace, name string
		listed          bool // as a Service
	}{
		{west, "shop", "caller", false}, {west, "shop", "plain-dns", false},
		{east, "shop", "checkout", true},
		{west, "cache", "store", true}, {east, "cache", "store", true},
		{west, "shop", "web", true}, {east, "shop", "web", true},
	} {
		launch(t, at.c, at.namespace, at.name, image, at.listed)
	}
	for _, at := range []struct {
		c               *kube.Client
		namespace, name string
	}{{west, "shop", "caller"}, {west, "shop", "plain-dns"}, {east, "shop", "checkout"}, {west, "cache", "store"}, {east, "cache", "store"}, {west, "shop", "web"}, {east, "shop", "web"}} {
		ready(t, at.c, at.namespace, at.name)
	}
	// checkout is a Service of east alone: the name of it is known in west by the sidecar only.
	eventually(t, "checkout of east by its name", func() (bool, string) {
		got := call(t, west, "shop", "caller", "http://checkout.shop:8080/", 5)
		return len(got) == 1 && got["checkout@east"] == 5, words(got)
	})
	if got := call(t, west, "shop", "plain-dns", "http://checkout.shop:8080/", 2); len(got) != 1 || got["dns"] != 2 {
		t.Errorf("a pod without DNS proxying knows checkout: %s", words(got))
	}
	rep := m.parse(m.must("verify", "--suite", "dns", "-o", "json"))
	if !slices.ContainsFunc(rep.Checks, func(c check) bool { return c.ID == "dns-proxied" && c.From == "west" && c.Status == "pass" }) {
		t.Errorf("DNS proxying is not proven:\n%s", rep.words())
	}
	// web is in both clusters, and both answer; store is too, and east's never does.
	eventually(t, "web of both clusters", func() (bool, string) {
		got := call(t, west, "shop", "caller", "http://web.shop:8080/", 40)
		return got["web@west"] > 0 && got["web@east"] > 0 && len(got) == 2, words(got)
	})
	if got := call(t, west, "shop", "caller", "http://store.cache:8080/", 40); len(got) != 1 || got["store@west"] != 40 {
		t.Errorf("store answers from elsewhere too: %s", words(got))
	}
	// And when west's is gone, east's does not stand in for it.
	if err := west.Remove(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "cache", Name: "store"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "store of west to be gone", func() (bool, string) {
		got := call(t, west, "shop", "caller", "http://store.cache:8080/", 5)
		return got["store@west"] == 0 && got["store@east"] == 0, words(got)
	})
	const store = "outbound_.8080_._.store.cache.svc.cluster.local"
	if gateway := gatewayListeners(t, east); !strings.Contains(gateway, "outbound_.8080_._.checkout.shop.svc.cluster.local") || strings.Contains(gateway, store) {
		t.Error("east's gateway lets in other names than the file says")
	}
	if !strings.Contains(gatewayListeners(t, west), store) {
		t.Error("west's gateway, whose hosts are not limited, does not know store: the look at east's says nothing")
	}
}

// gatewayListeners is the configuration of the listeners of a cluster's east-west gateway.
func gatewayListeners(t *testing.T, c *kube.Client) string {
	t.Helper()
	pods, err := c.Pods(t.Context(), topology.SystemNamespace, map[string]string{"istio": topology.EastWestSelector})
	if err != nil || len(pods) == 0 {
		t.Fatalf("no gateway: %v", err)
	}
	page, err := c.PodHTTP(t.Context(), topology.SystemNamespace, pods[0].Name, 15000, http.MethodGet, "/config_dump?resource=dynamic_listeners", nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// settingsChange: only istiod of west follows a value of west.
func settingsChange(t *testing.T, m *mesh) {
	m.edit("traceSampling: 5", "traceSampling: 7")
	plan := m.run("plan", "--detailed-exitcode")
	if plan.code != 5 || !strings.Contains(plan.stdout, "traceSampling") {
		t.Errorf("plan: %s", plan)
	}
	m.must("up", "--verify", "never")
	if got := m.changed(); !slices.Equal(got, []string{"istiod@west"}) {
		t.Errorf("changed: %v", got)
	}
}

// settingsCharts takes the built-in charts as a folder, under a patch version of its own. The
// images are pinned to what is there.
func settingsCharts(t *testing.T, m *mesh) {
	writeCharts(t, filepath.Join(filepath.Dir(m.file), "charts"), "1.31.7")
	m.edit("version: 1.31.0", "version: 1.31.7\n    charts: {directory: charts}")
	m.edit("logAsJson: true", "logAsJson: true, tag: 1.31.0")
	m.must("up", "--verify", "never")
	if got := m.changed(); !slices.Contains(got, "istiod@west") || !slices.Contains(got, "istiod@east") {
		t.Errorf("changed: %v", got)
	}
	if status := m.must("status"); strings.Count(status.stdout, "1.31.7") != 2 {
		t.Errorf("status:\n%s", status)
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("what was just made is to be changed again: %s", plan)
	}
}

func settingsMinor(t *testing.T, m *mesh) {
	writeCharts(t, filepath.Join(filepath.Dir(m.file), "charts"), "1.30.2")
	m.edit("version: 1.31.7", "version: 1.30.2")
	for _, verb := range []string{"up", "plan"} {
		r := m.run(verb)
		if r.code == 0 || !strings.Contains(r.stderr, "version 1.31.7 of Istio runs, and the file says 1.30.2: up never changes a minor version") {
			t.Errorf("%s: %s", verb, r)
		}
	}
	// A file that says nothing keeps what runs.
	m.edit("version: 1.30.2\n    charts: {directory: charts}", "profile: default")
	m.must("up", "--verify", "never")
	if status := m.must("status"); strings.Count(status.stdout, "1.31.7") != 2 {
		t.Errorf("status:\n%s", status)
	}
	m.edit("revision: v1-31-0", "revision: other")
	if r := m.run("up"); r.code == 0 || !strings.Contains(r.stderr, "istiod of revision v1-31-0 runs, and the file says other") {
		t.Errorf("up: %s", r)
	}
	m.edit("revision: other", "revision: v1-31-0")
}

// edit changes the topology file.
func (m *mesh) edit(old, new string) {
	m.t.Helper()
	data, err := os.ReadFile(m.file)
	if err != nil || strings.Count(string(data), old) != 1 {
		m.t.Fatalf("%q is not once in the file: %v\n%s", old, err, data)
	}
	if err := os.WriteFile(m.file, []byte(strings.Replace(string(data), old, new, 1)), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// changed lists the steps that the last up changed.
func (m *mesh) changed() []string {
	var ids []string
	for _, e := range m.events("up") {
		// An istiod that starts anew reads its peers anew, which is waited for and changes nothing.
		if id, ok := e["step"].(string); ok && e["event"] == "changed" && !strings.HasPrefix(id, "synced@") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// writeCharts writes the charts that are built in as a folder, with a version of the test's own.
func writeCharts(t *testing.T, dir, version string) {
	t.Helper()
	for from, to := range map[string]string{"base": "base", "gateway": "gateway", "istio-control/istio-discovery": "istiod"} {
		sub, err := fs.Sub(manifests.FS, "charts/"+from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, to), sub); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, to, "Chart.yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("version: 1.0.0", "version: "+version, "appVersion: 1.0.0", "appVersion: "+version).Replace(string(data))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// probeImage is the probe's image that the nodes of a cluster have.
func probeImage(t *testing.T, c *kube.Client) string {
	t.Helper()
	var record corev1.ConfigMap
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap}, &record); err != nil {
		t.Fatal(err)
	}
	return record.Data["probeImage"]
}

// launch starts a probe as somebody's workload, which answers with its name and its cluster.
func launch(t *testing.T, c *kube.Client, namespace, name, image string, listed bool) {
	t.Helper()
	labels := map[string]string{"app": name}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "probe", Image: image, Args: []string{"serve"}, ImagePullPolicy: corev1.PullIfNotPresent,
			Env: []corev1.EnvVar{{Name: probe.EnvPod, Value: name + "@" + c.Cluster}},
		}}},
	}
	if name == "plain-dns" {
		pod.Annotations = map[string]string{"proxy.istio.io/config": "proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"false\"}"}
	}
	objects := []client.Object{pod}
	if listed {
		objects = append(objects, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(probe.PortApp)}}},
		})
	}
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// ready waits for a workload, which must have a sidecar of the revision.
func ready(t *testing.T, c *kube.Client, namespace, name string) {
	t.Helper()
	eventually(t, name+" in "+c.Cluster, func() (bool, string) {
		var pod corev1.Pod
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &pod); err != nil {
			return false, err.Error()
		}
		return kube.PodReady(&pod) && len(pod.Spec.Containers)+len(pod.Spec.InitContainers) > 1, kube.PodReason(&pod)
	})
}

// call sends requests from a workload and counts the answers by who gave them, and the failures
// by their class or status.
func call(t *testing.T, c *kube.Client, namespace, pod, url string, count int) map[string]int {
	t.Helper()
	request, err := json.Marshal(probe.RunRequest{URL: url, Count: count, Fresh: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.PodHTTP(t.Context(), namespace, pod, probe.PortAdmin, http.MethodPost, "/run", request)
	if err != nil {
		t.Fatal(err)
	}
	var report probe.RunReport
	if err := json.Unmarshal(answer, &report); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, o := range report.Outcomes {
		key := o.Pod
		switch {
		case o.Error != "":
			key = o.Error
		case o.Status != http.StatusOK:
			key = itoa(o.Status)
		}
		got[key] += o.Count
	}
	return got
}

func words(got map[string]int) string { data, _ := json.Marshal(got); return string(data) }

// eventually waits two minutes for what spreads by itself.
func eventually(t *testing.T, what string, look func() (bool, string)) {
	t.Helper()
	err := poll.Until(t.Context(), poll.Options{What: what, Interval: time.Second, Deadline: 2 * time.Minute},
		func(context.Context) (bool, string, error) { done, state := look(); return done, state, nil })
	if err != nil {
		t.Fatal(err)
	}
}
