// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"helm.sh/helm/v4/pkg/action"
	helmkube "helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/release/common"
	helmrelease "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Labels of a release's own record (Helm's Secret), by which Look knows without rendering
// whether the release is what we would install.
const (
	labelChart  = "meshfed.io/chart-digest"
	labelValues = "meshfed.io/values-digest"
)

// recipe is part of every values digest. It is raised when what Adjust functions do to
// rendered objects changes, so that releases of older builds are brought up to date.
const recipe = "2"

const (
	// historyKept is how many revisions of a release Helm keeps.
	historyKept = 3
	// hookTimeout bounds the hooks of a chart; none of ours has any.
	hookTimeout = 2 * time.Minute
)

// Release is a Helm release that we own. It is a value: Look and Do keep nothing.
type Release struct {
	// Name and Namespace of the release. The namespace must exist before Do.
	Name, Namespace string
	// Chart is where its templates come from.
	Chart Chart
	// Values are laid over the chart's own.
	Values map[string]any
	// Labels are put on every object and on the release's record.
	Labels map[string]string
	// Adjust is given every rendered object; it may change it, and drops it by returning
	// false. Nil changes nothing.
	Adjust func(*unstructured.Unstructured) bool
	// Wait lists what must be ready before Do returns and for Look to say none.
	Wait []Workload
	// Adopt takes over a release, or objects, that carry no ownership labels of this program.
	Adopt bool
}

// Look says create when there is no release, update when the chart, the values, or a live
// object's field that the release sets differ, when the release is half-done, or when a
// workload is not ready, and none otherwise. A release that is not ours is an error. It
// changes nothing and renders nothing.
func (r Release) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	change, err := r.lookRelease(ctx, c)
	if err != nil || change.Needed() {
		return change, r.explain(c, "looking at", err)
	}
	return lookReady(ctx, c, r.Namespace, r.Wait)
}

// Do installs, upgrades or mends the release by server-side apply and waits for its
// workloads. It blocks until they are ready or ctx ends; it is idempotent. When ctx ends
// in the middle, the release is left half-done, which the next Do mends.
func (r Release) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	change, err := r.lookRelease(ctx, c)
	if err != nil {
		return r.explain(c, "looking at", err)
	}
	if change.Needed() {
		graph.State(ctx, "applying chart %s", r.Name)
		if err := r.mendPorts(ctx, c); err != nil {
			return r.explain(c, "mending Services of", err)
		}
		if err := r.apply(ctx, c); err != nil {
			return r.explain(c, "installing", err)
		}
	}
	return waitReady(ctx, c, r.Namespace, r.Wait)
}

// Remove uninstalls the release, whatever state it is in; absent is success. Objects that
// the chart marks to be kept stay, custom resource definitions among them.
func (r Release) Remove(_ context.Context, c *kube.Client) error {
	cfg, err := r.configure(c)
	if err != nil {
		return err
	}
	last, err := r.last(cfg)
	if err != nil || last == nil {
		return r.explain(c, "looking at", err)
	}
	if err := r.ours(last); err != nil {
		return r.explain(c, "removing", err)
	}
	uninstall := action.NewUninstall(cfg)
	uninstall.IgnoreNotFound = true
	uninstall.WaitStrategy = helmkube.HookOnlyStrategy
	uninstall.Timeout = hookTimeout
	_, err = uninstall.Run(r.Name)
	return r.explain(c, "removing", err)
}

// LookRemove says delete when there is a release and it is ours, and none otherwise: one of that
// name that belongs to someone else is left alone. It reads once.
func (r Release) LookRemove(_ context.Context, c *kube.Client) (graph.Change, error) {
	cfg, err := r.configure(c)
	if err != nil {
		return graph.Change{}, err
	}
	last, err := r.last(cfg)
	if err != nil {
		return graph.Change{}, r.explain(c, "looking at", err)
	}
	if last == nil || r.ours(last) != nil {
		return graph.Change{Action: graph.None}, nil
	}
	return graph.Change{Action: graph.Delete, Reason: "release " + r.Name + " is there and the file does not ask for it"}, nil
}

func (r Release) lookRelease(ctx context.Context, c *kube.Client) (graph.Change, error) {
	cfg, err := r.configure(c)
	if err != nil {
		return graph.Change{}, err
	}
	last, err := r.last(cfg)
	if err != nil {
		return graph.Change{}, err
	}
	if last == nil {
		return graph.Change{Action: graph.Create, Reason: "release " + r.Name + " is not there"}, nil
	}
	if err := r.ours(last); err != nil {
		return graph.Change{}, err
	}
	if status := last.Info.Status; status != common.StatusDeployed {
		return graph.Change{Action: graph.Update, Reason: fmt.Sprintf("release %s was left %s", r.Name, status)}, nil
	}
	fields, err := r.changed(last)
	if err != nil {
		return graph.Change{}, err
	}
	if len(fields) > 0 {
		return graph.Change{Action: graph.Update, Reason: "release " + r.Name + " was installed differently", Fields: fields}, nil
	}
	return drift(ctx, c, last.Manifest, r.Namespace)
}

// changed compares what is recorded of the release with what we would install.
func (r Release) changed(last *helmrelease.Release) ([]graph.FieldChange, error) {
	want, err := r.digests()
	if err != nil {
		return nil, err
	}
	var fields []graph.FieldChange
	for _, key := range []string{labelChart, labelValues} {
		if last.Labels[key] == want[key] {
			continue
		}
		if key == labelValues {
			if values := differences(last.Config, r.Values); len(values) > 0 {
				fields = append(fields, values...)
				continue
			}
		}
		fields = append(fields, graph.FieldChange{Path: key, Old: last.Labels[key], New: want[key]})
	}
	return fields, nil
}

// digests are the labels by which changed recognises an installed release.
func (r Release) digests() (map[string]string, error) {
	chart, err := r.Chart.Digest()
	if err != nil {
		return nil, err
	}
	values, err := json.Marshal(r.Values)
	if err != nil {
		return nil, fmt.Errorf("writing the values of %s: %w", r.Name, err)
	}
	sum := sha256.Sum256(append([]byte(recipe+"\n"), values...))
	return map[string]string{labelChart: chart, labelValues: short(sum[:])}, nil
}

// ours refuses releases that carry other ownership labels than ours.
func (r Release) ours(last *helmrelease.Release) error {
	if r.adoptable(last) {
		return nil
	}
	for _, key := range []string{topology.LabelTopology, topology.LabelOwner} {
		if want := r.Labels[key]; want != "" && last.Labels[key] != want {
			found := last.Labels[key]
			if found == "" {
				found = "none"
			}
			return diag.Hint(
				fmt.Errorf("release %s in %s belongs to someone else: its label %s is %s, ours is %s", r.Name, r.Namespace, key, found, want),
				fmt.Sprintf("in a cluster of your own, provider.kubeconfig.adopt takes it over when it is nobody's of meshfed; or remove it: helm uninstall %s -n %s", r.Name, r.Namespace))
		}
	}
	return nil
}

// apply installs the release, or upgrades what is there.
func (r Release) apply(ctx context.Context, c *kube.Client) error {
	cfg, err := r.configure(c)
	if err != nil {
		return err
	}
	installed, err := r.mend(ctx, cfg)
	if err != nil {
		return fmt.Errorf("mending a half-done release: %w", err)
	}
	chart, err := r.Chart.Load()
	if err != nil {
		return err
	}
	labels, err := r.digests()
	if err != nil {
		return err
	}
	maps.Copy(labels, r.Labels)
	if r, err = r.adopted(ctx, c, cfg, labels); err != nil {
		return err
	}
	// Rendering changes the values that it is given.
	values, err := clone(r.Values)
	if err != nil {
		return err
	}
	if installed {
		_, err = r.upgrade(cfg, labels).RunWithContext(ctx, r.Name, chart, values)
	} else {
		_, err = r.install(cfg, labels).RunWithContext(ctx, chart, values)
	}
	return err
}

func (r Release) install(cfg *action.Configuration, labels map[string]string) *action.Install {
	install := action.NewInstall(cfg)
	install.ReleaseName, install.Namespace = r.Name, r.Namespace
	install.ServerSideApply, install.ForceConflicts = true, true
	install.Labels, install.TakeOwnership = labels, r.Adopt
	install.PostRenderer = relabel{labels: r.Labels, adjust: r.Adjust}
	install.WaitStrategy, install.Timeout = helmkube.HookOnlyStrategy, hookTimeout
	// The API server validates fields strictly on apply; asking for its whole OpenAPI
	// document first costs a second for each release.
	install.DisableOpenAPIValidation = true
	return install
}

func (r Release) upgrade(cfg *action.Configuration, labels map[string]string) *action.Upgrade {
	upgrade := action.NewUpgrade(cfg)
	upgrade.Namespace = r.Namespace
	upgrade.ServerSideApply, upgrade.ForceConflicts = "true", true
	upgrade.ResetValues = true
	upgrade.MaxHistory = historyKept
	upgrade.Labels, upgrade.TakeOwnership = labels, r.Adopt
	upgrade.PostRenderer = relabel{labels: r.Labels, adjust: r.Adjust}
	upgrade.WaitStrategy, upgrade.Timeout = helmkube.HookOnlyStrategy, hookTimeout
	upgrade.DisableOpenAPIValidation = true
	return upgrade
}

// explain wraps err with the cluster and the release. The end of a context stays visible.
func (r Release) explain(c *kube.Client, doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return diag.Op(err, c.Cluster, doing+" release "+r.Name)
	}
	return c.Explain(err, doing+" release "+r.Name)
}
