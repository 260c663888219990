// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
)

// Look finds out how the cluster compares with its spec. It changes nothing and takes less
// than half a second. A cluster of that name that is not ours is an ErrForeign.
func (p *Provider) Look(ctx context.Context, s cluster.Spec) (cluster.Status, error) {
	status, _, err := p.look(ctx, s)
	return status, diag.Op(err, s.Name, "looking at the cluster")
}

// look also returns the containers that it judged.
func (p *Provider) look(ctx context.Context, s cluster.Spec) (cluster.Status, []cluster.Container, error) {
	list, err := p.nodes(ctx, s.Name)
	if err != nil {
		return cluster.Status{}, nil, err
	}
	return p.judge(ctx, s, list), list, ctx.Err()
}

func (p *Provider) judge(ctx context.Context, s cluster.Spec, list []cluster.Container) cluster.Status {
	if len(list) == 0 {
		return cluster.Status{State: cluster.Absent, Reason: "it does not exist"}
	}
	if reason := broken(list); reason != "" {
		return cluster.Status{State: cluster.HalfMade, Reason: reason}
	}
	first := list[slices.IndexFunc(list, func(c cluster.Container) bool { return isControlPlane(s.Name, c.Name) })]
	if i := slices.IndexFunc(list, func(c cluster.Container) bool { return !c.Running() }); i >= 0 {
		return p.judgeStopped(ctx, first, list[i])
	}
	out, err := p.engine.Run(ctx, "exec", first.Name, "sh", "-c", "cat "+recordPath+" && echo && cat "+adminConf+" || true")
	if err != nil {
		// "running" to the engine, which has not seen its processes end.
		return cluster.Status{State: cluster.HalfMade, Reason: fmt.Sprintf("container %s is dead", first.Name)}
	}
	var r record
	recorded, admin, _ := strings.Cut(out, "\n")
	if json.Unmarshal([]byte(recorded), &r) != nil || admin == "" {
		return cluster.Status{State: cluster.HalfMade, Reason: "making it was interrupted"}
	}
	if d := compare(r.Spec, s); len(d) > 0 {
		var texts []string
		for _, one := range d {
			texts = append(texts, one.String())
		}
		return cluster.Status{State: cluster.Different, Reason: strings.Join(texts, ", "), Differences: d}
	}
	config, err := rename([]byte(admin), s.Name, hostServer(list))
	if err == nil {
		err = ask(ctx, config)
	}
	if err != nil {
		return cluster.Status{State: cluster.Stopped, Reason: "its API does not answer: " + err.Error()}
	}
	return cluster.Status{State: cluster.Ready}
}

// judgeStopped tells a whole cluster that was stopped from one that was never finished.
func (p *Provider) judgeStopped(ctx context.Context, first, stopped cluster.Container) cluster.Status {
	// The record can be copied out of a container that does not run.
	if err := p.engine.Pipe(ctx, nil, nil, "cp", first.Name+":"+recordPath, "-"); err != nil {
		return cluster.Status{State: cluster.HalfMade, Reason: "making it was interrupted"}
	}
	return cluster.Status{State: cluster.Stopped, Reason: fmt.Sprintf("container %s is %s", stopped.Name, stopped.State)}
}

// broken says why containers can not become a whole cluster again, or nothing.
func broken(list []cluster.Container) string {
	control := false
	for _, c := range list {
		control = control || isControlPlane(c.Labels[clusterLabel], c.Name)
		switch c.State {
		case "running", "exited", "stopped", "paused":
		default:
			// created, initialized: never ran. stopping, removing, unknown: podman can
			// neither start nor finish stopping it once its monitor is gone.
			return fmt.Sprintf("container %s is %s", c.Name, c.State)
		}
	}
	if !control {
		return "it has no control plane"
	}
	return ""
}

func isControlPlane(name, container string) bool {
	return strings.HasPrefix(container, name+"-control-plane")
}
