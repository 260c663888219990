// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
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
	if len(list) == 0 {
		status, err := p.judgeNothing(ctx, s.Name)
		return status, nil, err
	}
	status, err := p.judge(ctx, s, list)
	return status, list, errors.Join(err, ctx.Err())
}

// judgeNothing looks for volumes, which kind makes before the containers.
func (p *Provider) judgeNothing(ctx context.Context, name string) (cluster.Status, error) {
	volumes, err := p.volumes(ctx, name)
	if len(volumes) > 0 {
		return cluster.Status{State: cluster.HalfMade, Reason: "only volumes of it are there"}, nil
	}
	return cluster.Status{State: cluster.Absent, Reason: "it does not exist"}, err
}

func (p *Provider) judge(ctx context.Context, s cluster.Spec, list []cluster.Container) (cluster.Status, error) {
	if reason := broken(list); reason != "" {
		return cluster.Status{State: cluster.HalfMade, Reason: reason}, nil
	}
	first := list[slices.IndexFunc(list, func(c cluster.Container) bool { return isControlPlane(s.Name, c.Name) })]
	if i := slices.IndexFunc(list, func(c cluster.Container) bool { return !c.Running() }); i >= 0 {
		return p.judgeStopped(ctx, first, list[i]), nil
	}
	out, err := p.engine.Run(ctx, "exec", first.Name, "sh", "-c", "cat "+recordPath+" && echo && cat "+adminConf+" || true")
	if err != nil {
		// "running" to the engine, which has not seen its processes end; or the engine itself
		// is in trouble, and then a cluster that lives must not be taken for dead: it would be
		// removed.
		if listens(ctx, hostServer(list)) {
			return cluster.Status{}, fmt.Errorf("container %s runs, but nothing can be started in it: %w", first.Name, err)
		}
		return cluster.Status{State: cluster.HalfMade, Reason: fmt.Sprintf("container %s is dead", first.Name)}, nil
	}
	var r record
	recorded, admin, _ := strings.Cut(out, "\n")
	if json.Unmarshal([]byte(recorded), &r) != nil || admin == "" {
		return cluster.Status{State: cluster.HalfMade, Reason: "making it was interrupted"}, nil
	}
	if d := compare(r.Spec, s); len(d) > 0 {
		var texts []string
		for _, one := range d {
			texts = append(texts, one.String())
		}
		return cluster.Status{State: cluster.Different, Reason: strings.Join(texts, ", "), Differences: d}, nil
	}
	config, err := rename([]byte(admin), s.Name, hostServer(list))
	if err == nil {
		err = ask(ctx, config)
	}
	if err != nil {
		return cluster.Status{State: cluster.Stopped, Reason: "its API does not answer: " + err.Error()}, nil
	}
	return cluster.Status{State: cluster.Ready}, nil
}

// listens says whether something accepts connections where a URL leads.
func listens(ctx context.Context, server string) bool {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return false
	}
	connection, err := (&net.Dialer{Timeout: askTimeout}).DialContext(ctx, "tcp", u.Host)
	return err == nil && connection.Close() == nil
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
