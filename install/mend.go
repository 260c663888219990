// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/release/common"
	helmrelease "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"

	"github.com/meshfed/meshfed/internal/graph"
)

// last is the newest record of the release, or nil.
func (r Release) last(cfg *action.Configuration) (*helmrelease.Release, error) {
	found, err := cfg.Releases.Last(r.Name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	last, ok := found.(*helmrelease.Release)
	if !ok {
		return nil, fmt.Errorf("release %s is of an unknown kind %T", r.Name, found)
	}
	return last, nil
}

// mend makes a half-done release one that Helm accepts, and says whether it is to be
// upgraded (true) or installed (false). Helm itself refuses pending releases for ever.
//
// Nothing that runs is taken away: what a broken-off installation made carries Helm's
// annotations of this release and is taken over by the next one. Uninstalling instead
// would delete Istio's definitions and with them everybody's Istio objects.
func (r Release) mend(ctx context.Context, cfg *action.Configuration) (installed bool, err error) {
	history, err := r.history(cfg)
	if err != nil || len(history) == 0 {
		return false, err
	}
	last, complete := history[0], false
	for _, revision := range history {
		if revision.Version > last.Version {
			last = revision
		}
		switch revision.Info.Status {
		case common.StatusDeployed, common.StatusSuperseded:
			complete = true
		}
	}
	if err := r.ours(last); err != nil {
		return false, err
	}
	status := last.Info.Status
	if status == common.StatusDeployed || (complete && status == common.StatusFailed) {
		return true, nil
	}
	graph.State(ctx, "mending release %s, which was left %s", r.Name, status)
	if complete && status != common.StatusUninstalling && status != common.StatusUninstalled {
		last.SetStatus(common.StatusFailed, "left "+status.String()+"; mended by meshfed")
		return true, cfg.Releases.Update(last)
	}
	for _, revision := range history {
		if _, err := cfg.Releases.Delete(revision.Name, revision.Version); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
			return false, err
		}
	}
	return false, nil
}

func (r Release) history(cfg *action.Configuration) ([]*helmrelease.Release, error) {
	found, err := cfg.Releases.History(r.Name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	history := make([]*helmrelease.Release, 0, len(found))
	for _, each := range found {
		revision, ok := each.(*helmrelease.Release)
		if !ok {
			return nil, fmt.Errorf("release %s is of an unknown kind %T", r.Name, each)
		}
		history = append(history, revision)
	}
	return history, nil
}
