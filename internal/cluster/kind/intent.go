// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
)

const (
	// intentTime is how long after the note the containers of a cluster may be made, when the
	// process that made them did not live to add their ids: kind pulls the node image first.
	intentTime = time.Hour
	// disownTime bounds what is done after making a cluster has failed, or was interrupted.
	disownTime = 5 * time.Second
)

// intent says that we set out to make a cluster on a shared network. Its containers can have no
// label of ours, and the record in the node comes last; until then this file proves whose they
// are. It is removed with the cluster.
type intent struct {
	Labels map[string]string `json:"labels"`
	// Begun is when there was no cluster of that name yet.
	Begun time.Time `json:"begun"`
	// Containers are the ids of those that were made; none while they are not known.
	Containers []string `json:"containers,omitempty"`
}

// intentPath is empty when nothing may be kept.
func (p *Provider) intentPath(name string) string {
	if !p.Shared || p.Dir == "" {
		return ""
	}
	return filepath.Join(p.Dir, "meshfed-kind-"+name+".json")
}

// intend writes down what is about to be made, or has been.
func (p *Provider) intend(name string, containers []string) error {
	path := p.intentPath(name)
	if path == "" {
		return nil
	}
	in := intent{Labels: p.labels, Begun: time.Now(), Containers: containers}
	if have, ok := p.intended(name); ok && len(containers) > 0 {
		in.Begun = have.Begun
	}
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("noting down that cluster %s is being made: %w", name, err)
	}
	return os.Rename(path+".new", path)
}

// intended reads what was noted down of a cluster; false when nothing of ours was.
func (p *Provider) intended(name string) (intent, bool) {
	path := p.intentPath(name)
	if path == "" {
		return intent{}, false
	}
	var in intent
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &in) != nil {
		return intent{}, false
	}
	return in, p.own(in.Labels)
}

// own says whether labels are those of our topology and owner.
func (p *Provider) own(labels map[string]string) bool {
	return cluster.Network{Labels: labels}.OwnedBy(p.labels)
}

// forget removes the note of a cluster that is gone.
func (p *Provider) forget(name string) error {
	path := p.intentPath(name)
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// disown forgets a cluster of which kind has made nothing, so that one of that name that someone
// else makes later is not taken for it. ctx may have ended.
func (p *Provider) disown(ctx context.Context, name string) error {
	if p.intentPath(name) == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disownTime)
	defer cancel()
	list, err := cluster.Containers(ctx, p.engine, "name="+nodePattern(name))
	if err != nil || len(list) > 0 {
		return err
	}
	volumes, err := p.volumes(ctx, name, false)
	if err != nil || len(volumes) > 0 {
		return err
	}
	return p.forget(name)
}

// noteContainers adds the containers of a cluster that kind has just made to its note: kind makes
// none when there is one of that name.
func (p *Provider) noteContainers(ctx context.Context, name string) error {
	if p.intentPath(name) == "" {
		return nil
	}
	list, err := cluster.Containers(ctx, p.engine, "name="+nodePattern(name))
	if err != nil {
		return err
	}
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	return p.intend(name, ids)
}

// proven says whether the containers of a cluster on a shared network are ours: by what was
// noted down here before they were made, or by the record inside. A name proves nothing.
func (p *Provider) proven(ctx context.Context, name string, list []cluster.Container) (bool, error) {
	if in, ok := p.intended(name); ok {
		ours, err := p.covers(ctx, in, list)
		if ours || err != nil {
			return ours, err
		}
	}
	i := slices.IndexFunc(list, func(c cluster.Container) bool { return isControlPlane(name, c.Name) })
	if i < 0 {
		return false, nil
	}
	r, ok, err := p.readRecord(ctx, list[i])
	return ok && p.own(r.Labels), err
}

// covers says whether every container is one that the note speaks of: by its id, or, while ids
// were not known, because it was made soon after the note.
func (p *Provider) covers(ctx context.Context, in intent, list []cluster.Container) (bool, error) {
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	if len(in.Containers) > 0 {
		return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(in.Containers, id) }), nil
	}
	out, err := p.engine.Run(ctx, append([]string{"container", "inspect", "--format", "{{json .Created}}"}, ids...)...)
	if err != nil {
		return false, fmt.Errorf("asking when containers were made: %w", err)
	}
	times := strings.Fields(out)
	for _, text := range times {
		made, err := time.Parse(`"`+time.RFC3339Nano+`"`, text)
		if err != nil || made.Before(in.Begun) || made.After(in.Begun.Add(intentTime)) {
			return false, nil
		}
	}
	return len(times) == len(ids), nil
}
