// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
)

// paused is the word of both engines for a container whose processes are frozen.
const paused = "paused"

// found is what looking at a cluster has found.
type found struct {
	status     cluster.Status
	containers []cluster.Container
	// record is set when the cluster is Stopped, Impaired, Different or Ready.
	record record
}

// Look finds out how the cluster compares with its spec. It changes nothing and takes less
// than half a second. A cluster of that name that is not ours is an ErrForeign.
func (p *Provider) Look(ctx context.Context, s cluster.Spec) (cluster.Status, error) {
	f, err := p.look(ctx, s)
	return f.status, diag.Op(err, s.Name, "looking at the cluster")
}

// look also returns what it judged by.
func (p *Provider) look(ctx context.Context, s cluster.Spec) (found, error) {
	list, err := p.nodes(ctx, s.Name)
	if err != nil {
		return found{}, err
	}
	if len(list) == 0 {
		status, err := p.judgeNothing(ctx, s.Name)
		return found{status: status}, err
	}
	f := found{containers: list}
	f.status, f.record, err = p.judge(ctx, s, list)
	if f.status.State == cluster.Ready {
		f.status.Started = map[string]time.Time{}
		for _, c := range list {
			f.status.Started[c.Name] = c.Started
		}
	}
	if f.status.State != "" {
		f.status.Notes = moved(f.record, list, p.network)
	}
	if f.status.State == cluster.Ready {
		f.status.Notes = append(f.status.Notes, unknown(f.record.Spec.Registries, s.Registries)...)
	}
	return f, errors.Join(err, ctx.Err())
}

// unknown says which registries the nodes have not been told of.
func unknown(told, want []cluster.Registry) []string {
	var notes []string
	for _, r := range want {
		if !slices.Contains(told, r) {
			notes = append(notes, fmt.Sprintf("the nodes do not know yet that %s is at %s", r.Host, r.Server))
		}
	}
	return notes
}

// judgeNothing looks for volumes, which kind makes before the containers.
func (p *Provider) judgeNothing(ctx context.Context, name string) (cluster.Status, error) {
	volumes, err := p.volumes(ctx, name, false)
	if len(volumes) > 0 {
		return cluster.Status{State: cluster.HalfMade, Reason: "only volumes of it are there"}, nil
	}
	return cluster.Status{State: cluster.Absent, Reason: "it does not exist"}, err
}

func (p *Provider) judge(ctx context.Context, s cluster.Spec, list []cluster.Container) (cluster.Status, record, error) {
	if reason := broken(list); reason != "" {
		return cluster.Status{State: cluster.HalfMade, Reason: reason}, record{}, nil
	}
	if i := slices.IndexFunc(list, func(c cluster.Container) bool { return c.State == paused }); i >= 0 {
		return cluster.Status{State: cluster.Paused, Reason: fmt.Sprintf("container %s is paused", list[i].Name)}, record{}, nil
	}
	first := list[slices.IndexFunc(list, func(c cluster.Container) bool { return isControlPlane(s.Name, c.Name) })]
	if i := slices.IndexFunc(list, func(c cluster.Container) bool { return !c.Running() }); i >= 0 {
		return p.judgeStopped(ctx, s, first, list[i])
	}
	const script = "cat " + recordPath + " && echo && cat " + adminConf + " || true"
	out, err := p.exec(ctx, first.Name, "sh", "-c", script)
	if err != nil {
		var dead bool
		switch out, dead, err = p.again(ctx, list, first, err, script); {
		case err != nil:
			return cluster.Status{}, record{}, err
		case dead:
			return cluster.Status{State: cluster.HalfMade, Reason: fmt.Sprintf("container %s is dead", first.Name)}, record{}, nil
		}
	}
	recorded, admin, _ := strings.Cut(out, "\n")
	r, ok := parseRecord(recorded)
	if !ok || admin == "" {
		return cluster.Status{State: cluster.HalfMade, Reason: interrupted}, record{}, nil
	}
	if status := differs(r.Spec, s); status.State != "" {
		return status, r, nil
	}
	config, err := rename([]byte(admin), s.Name, hostServer(list))
	if err == nil {
		err = ask(ctx, config)
	}
	if err != nil {
		return cluster.Status{State: cluster.Stopped, Reason: "its API does not answer: " + err.Error()}, r, nil
	}
	if reason := p.unrouted(ctx, r, list); reason != "" {
		return cluster.Status{State: cluster.Impaired, Reason: reason}, r, nil
	}
	if reason := p.unreached(ctx, list); reason != "" {
		return cluster.Status{State: cluster.Impaired, Reason: reason}, r, nil
	}
	return cluster.Status{State: cluster.Ready}, r, nil
}

// again asks a node once more in which nothing could be started. It is dead when it is only
// "running" to the engine, which has not seen its processes end. When the engine itself is in
// trouble, or was started again meanwhile, a cluster that lives must not be taken for dead: it
// would be removed.
func (p *Provider) again(ctx context.Context, list []cluster.Container, first cluster.Container, err error, script string) (out string, dead bool, _ error) {
	if errors.Is(err, errSilent) || listens(ctx, hostServer(list)) {
		return "", false, fmt.Errorf("container %s runs, but nothing can be started in it: %w", first.Name, err)
	}
	now, err := p.nodes(ctx, first.Labels[clusterLabel])
	if err != nil {
		return "", false, err
	}
	i := slices.IndexFunc(now, func(c cluster.Container) bool { return c.ID == first.ID })
	if i < 0 || !now[i].Running() || !now[i].Started.Equal(first.Started) {
		return "", false, diag.Hint(fmt.Errorf("container %s was stopped or started while it was looked at", first.Name), "run the command again")
	}
	out, err = p.exec(ctx, first.Name, "sh", "-c", script)
	if errors.Is(err, errSilent) || ctx.Err() != nil {
		return "", false, errors.Join(err, ctx.Err())
	}
	return out, err != nil, nil
}

// interrupted is the reason of a cluster without a record.
const interrupted = "making it was interrupted"

// differs is a status without a state when a cluster is as its spec says.
func differs(made, want cluster.Spec) cluster.Status {
	d := compare(made, want)
	if len(d) == 0 {
		return cluster.Status{}
	}
	texts := make([]string, len(d))
	for i, one := range d {
		texts[i] = one.String()
	}
	return cluster.Status{State: cluster.Different, Reason: strings.Join(texts, ", "), Differences: d}
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
func (p *Provider) judgeStopped(ctx context.Context, s cluster.Spec, first, stopped cluster.Container) (cluster.Status, record, error) {
	r, ok, err := p.readRecord(ctx, first)
	switch {
	case err != nil:
		return cluster.Status{}, r, err
	case !ok && neverRan(stopped.State):
		return cluster.Status{State: cluster.HalfMade, Reason: fmt.Sprintf("container %s is %s", stopped.Name, stopped.State)}, r, nil
	case !ok:
		return cluster.Status{State: cluster.HalfMade, Reason: interrupted}, r, nil
	}
	if status := differs(r.Spec, s); status.State != "" {
		return status, r, nil
	}
	return cluster.Status{State: cluster.Stopped, Reason: fmt.Sprintf("container %s is %s", stopped.Name, stopped.State)}, r, nil
}

// neverRan says whether an engine's word may mean that a container was only made. podman says
// it, too, of all that ran before the host was started again.
func neverRan(state string) bool {
	return state == "created" || state == "configured" || state == "initialized"
}

// broken says why containers can not become a whole cluster again, or nothing.
func broken(list []cluster.Container) string {
	control := false
	for _, c := range list {
		control = control || isControlPlane(c.Labels[clusterLabel], c.Name)
		switch {
		case neverRan(c.State):
		case slices.Contains([]string{"running", "restarting", "exited", "stopped", paused}, c.State):
		default:
			// dead, removing, unknown, and stopping: podman can neither start nor finish
			// stopping it once its monitor is gone.
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
