// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
)

const (
	// freezer is where cgroup v1 freezes processes.
	freezer = "/sys/fs/cgroup/freezer"
	// thawInterval is how often a removal that takes its time is helped.
	thawInterval = time.Second
	// removeTime bounds the removal of one container.
	removeTime = 2 * time.Minute
)

// removeContainers removes containers at once. With cgroup v1 a runtime inside of a node freezes
// each pod for a moment while it makes it; when the node is killed in that moment, nobody is
// left to thaw the pod, and what is frozen can not be killed: the engine would wait forever.
func (p *Provider) removeContainers(ctx context.Context, list []cluster.Container) error {
	names, ids := make([]string, len(list)), make([]string, len(list))
	for i, c := range list {
		names[i], ids[i] = c.Name, c.ID
	}
	bounded, cancel := context.WithTimeout(ctx, removeTime*time.Duration(1+len(list)))
	defer cancel()
	err := p.removeHelped(bounded, names, ids)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		err = diag.Hint(err, "the engine does not get rid of a container: start the engine again, then run meshfed down again")
	}
	return err
}

// removeHelped removes containers and thaws what is frozen in them meanwhile.
func (p *Provider) removeHelped(ctx context.Context, names, ids []string) error {
	if !p.facts.CgroupV1 || p.facts.Remote || len(ids) == 0 {
		return cluster.RemoveContainers(ctx, p.engine, names...)
	}
	done := make(chan error, 1)
	go func() { done <- cluster.RemoveContainers(ctx, p.engine, names...) }()
	again := time.NewTicker(thawInterval)
	defer again.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-again.C:
			for _, pod := range thaw(freezer, ids) {
				p.log("thawed " + pod)
			}
		}
	}
}

// thaw lets everything run on that is frozen below the cgroups of the containers, and returns
// what that was. Without the right to do so nothing changes.
func thaw(root string, ids []string) []string {
	var thawed []string
	// A cgroup that goes away meanwhile is no error, and there is nobody to tell of another.
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "freezer.state" || !slices.ContainsFunc(ids, func(id string) bool { return id != "" && strings.Contains(path, id) }) {
			return nil
		}
		if state, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(state)) == "THAWED" {
			return nil
		}
		if os.WriteFile(path, []byte("THAWED"), 0o600) == nil {
			thawed = append(thawed, filepath.Dir(path))
		}
		return nil
	})
	return thawed
}
