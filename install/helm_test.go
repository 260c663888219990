// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/release/common"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const appPath = "/apis/apps/v1/namespaces/demo/deployments/app"

// demo is a release of a chart of two objects.
func demo() Release {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return Release{
		Name: "demo", Namespace: "demo",
		Chart: Chart{Version: "2.0.0", FS: fstest.MapFS{
			"Chart.yaml":  file("apiVersion: v2\nname: demo\nversion: 1.0.0\n"),
			"values.yaml": file("replicas: 1\ncolour: red\n"),
			"templates/app.yaml": file(`apiVersion: apps/v1
kind: Deployment
metadata: {name: app, labels: {version: "{{ .Chart.Version }}"}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: app}}
`),
			"templates/colour.yaml": file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: colour}\ndata: {colour: {{ .Values.colour }}}\n"),
		}},
		Values: map[string]any{"replicas": 2},
		Labels: map[string]string{topology.LabelTopology: "usmesh", topology.LabelOwner: "me"},
	}
}

func lookAt(t *testing.T, c *kube.Client, part interface {
	Look(context.Context, *kube.Client) (graph.Change, error)
}, want graph.Action) graph.Change {
	t.Helper()
	change, err := part.Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if change.Action != want {
		t.Fatalf("Look says %s (%s %v), want %s", change.Action, change.Reason, change.Fields, want)
	}
	return change
}

func doIt(t *testing.T, c *kube.Client, part interface {
	Do(context.Context, *kube.Client, graph.Change) error
}) {
	t.Helper()
	if err := part.Do(t.Context(), c, graph.Change{}); err != nil {
		t.Fatal(err)
	}
}

func TestReleaseIsInstalledOnceAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	r := demo()
	lookAt(t, c, r, graph.Create)
	if len(s.writes) != 0 {
		t.Errorf("Look wrote: %v", s.writes)
	}
	doIt(t, c, r)
	app := s.get(appPath)
	labels := app["metadata"].(map[string]any)["labels"].(map[string]any)
	if labels[topology.LabelOwner] != "me" || labels["version"] != "2.0.0" {
		t.Errorf("labels: %v", labels)
	}
	before := len(s.writes)
	lookAt(t, c, r, graph.None)
	doIt(t, c, r)
	if len(s.writes) != before {
		t.Errorf("a second Do wrote: %v", s.writes[before:])
	}
}

func TestReleaseFollowsItsValuesAndItsChart(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	doIt(t, c, demo())

	r := demo()
	r.Values = map[string]any{"replicas": 3}
	change := lookAt(t, c, r, graph.Update)
	if diff := cmp.Diff([]graph.FieldChange{{Path: "values.replicas", Old: "2", New: "3"}}, change.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	doIt(t, c, r)
	if got := s.get(appPath)["spec"].(map[string]any)["replicas"]; got != 3.0 {
		t.Errorf("replicas: %v", got)
	}
	lookAt(t, c, r, graph.None)

	r.Chart.Version = "3.0.0"
	lookAt(t, c, r, graph.Update)
	doIt(t, c, r)
	lookAt(t, c, r, graph.None)
}

func TestReleaseMendsWhatHasDrifted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		break_ func(s *apiServer)
		want   string
	}{
		"scaled to zero": {func(s *apiServer) { s.objects[appPath]["spec"].(map[string]any)["replicas"] = 0 }, "Deployment/app spec.replicas"},
		"deleted":        {func(s *apiServer) { delete(s.objects, appPath) }, "Deployment/app"},
		"label removed": {func(s *apiServer) {
			delete(s.objects[appPath]["metadata"].(map[string]any)["labels"].(map[string]any), topology.LabelOwner)
		}, "Deployment/app metadata.labels." + topology.LabelOwner},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newAPIServer(t)
			r := demo()
			doIt(t, c, r)
			tc.break_(s)
			change := lookAt(t, c, r, graph.Update)
			if len(change.Fields) != 1 || change.Fields[0].Path != tc.want {
				t.Errorf("fields: %v, want %s", change.Fields, tc.want)
			}
			doIt(t, c, r)
			lookAt(t, c, r, graph.None)
		})
	}
}

func TestHalfDoneReleaseIsMended(t *testing.T) {
	t.Parallel()
	for _, status := range []common.Status{
		common.StatusPendingInstall, common.StatusPendingUpgrade, common.StatusPendingRollback,
		common.StatusFailed, common.StatusUninstalling, common.StatusUnknown,
	} {
		for name, revisions := range map[string]int{"first revision": 1, "second revision": 2} {
			t.Run(string(status)+" "+name, func(t *testing.T) {
				t.Parallel()
				s, c := newAPIServer(t)
				r := demo()
				doIt(t, c, r)
				if revisions == 2 {
					r.Values = map[string]any{"replicas": 5}
					doIt(t, c, r)
				}
				leave(t, c, r, status)
				change := lookAt(t, c, r, graph.Update)
				if !strings.Contains(change.Reason, string(status)) {
					t.Errorf("reason %q does not say %s", change.Reason, status)
				}
				doIt(t, c, r)
				lookAt(t, c, r, graph.None)
				if deleted := s.writesTo("DELETE " + appPath); len(deleted) > 0 {
					t.Errorf("mending took away what ran: %v", deleted)
				}
			})
		}
	}
}

// leave makes the release look as if a Helm had been killed.
func leave(t *testing.T, c *kube.Client, r Release, status common.Status) {
	t.Helper()
	cfg := must(r.configure(c))(t)
	last := must(r.last(cfg))(t)
	last.Info.Status = status
	if err := cfg.Releases.Update(last); err != nil {
		t.Fatal(err)
	}
}

func TestInstallationThatFailsIsCarriedOn(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	s.refuse["PATCH "+appPath] = 403
	r := demo()
	err := r.Do(t.Context(), c, graph.Change{})
	if err == nil {
		t.Fatal("the refusal was not reported")
	}
	if !strings.Contains(err.Error(), "west: installing release demo") {
		t.Errorf("error names neither cluster nor release: %v", err)
	}
	lookAt(t, c, r, graph.Update)
	doIt(t, c, r)
	lookAt(t, c, r, graph.None)
}

func TestReleaseOfSomeoneElseIsNotTouched(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	theirs := demo()
	theirs.Labels = map[string]string{topology.LabelTopology: "usmesh", topology.LabelOwner: "they"}
	doIt(t, c, theirs)
	before := len(s.writes)
	for name, err := range map[string]error{
		"Look":   func() error { _, err := demo().Look(t.Context(), c); return err }(),
		"Do":     demo().Do(t.Context(), c, graph.Change{}),
		"Remove": demo().Remove(t.Context(), c),
	} {
		if err == nil || !strings.Contains(err.Error(), "belongs to someone else") {
			t.Errorf("%s: %v", name, err)
		}
		if hints := diag.Hints(err); len(hints) == 0 {
			t.Errorf("%s: no hint", name)
		}
	}
	if len(s.writes) != before {
		t.Errorf("wrote: %v", s.writes[before:])
	}
}

// An object that is there without Helm's annotations was made by someone else.
func TestObjectOfSomeoneElseIsNotTakenOver(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	s.put(t, appPath, "spec: {replicas: 7}")
	if err := demo().Do(t.Context(), c, graph.Change{}); err == nil {
		t.Fatal("took over a Deployment")
	}
	if got := s.get(appPath)["spec"].(map[string]any)["replicas"]; got != 7.0 {
		t.Errorf("replicas: %v", got)
	}
}

func TestReleaseIsRemoved(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	r := demo()
	doIt(t, c, r)
	for range 2 {
		if err := r.Remove(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.objects) != 0 {
		t.Errorf("left behind: %v", s.objects)
	}
}

func TestReleaseWaitsForItsWorkloads(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	r := demo()
	r.Wait = []Workload{{Kind: "Deployment", Name: "app"}}
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	ctx = graph.WithState(ctx, func(state string) {
		seen = append(seen, state)
		if strings.Contains(state, "ready") {
			cancel()
		}
	})
	if err := r.Do(ctx, c, graph.Change{}); err == nil || !strings.Contains(err.Error(), "0/2 ready") {
		t.Errorf("a wait that was cancelled: %v; states %v", err, seen)
	}
	change := lookAt(t, c, r, graph.Update)
	if !strings.Contains(change.Reason, "0/2 ready") {
		t.Errorf("reason: %q", change.Reason)
	}
	app := s.get(appPath)
	s.mu.Lock()
	app["status"] = map[string]any{"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
	s.mu.Unlock()
	lookAt(t, c, r, graph.None)
	doIt(t, c, r)
}

func TestEnvironmentHasNoSay(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere")
	t.Setenv("HELM_NAMESPACE", "elsewhere")
	t.Setenv("HELM_DRIVER", "configmap")
	t.Setenv("HELM_KUBEAPISERVER", "https://127.0.0.1:1")
	s, c := newAPIServer(t)
	doIt(t, c, demo())
	if s.get("/api/v1/namespaces/demo/secrets/sh.helm.release.v1.demo.v1") == nil {
		t.Error("the release is not recorded where it belongs")
	}
}
