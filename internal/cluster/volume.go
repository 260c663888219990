// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Volume is what matters of a volume.
type Volume struct {
	// Name of the volume.
	Name string
	// Labels of the volume.
	Labels map[string]string
}

// Volumes lists all volumes of the engine.
func Volumes(ctx context.Context, e Engine) ([]Volume, error) {
	if isDocker(e) {
		return dockerVolumes(ctx, e)
	}
	out, err := e.Run(ctx, "volume", "ls", "--format", "json")
	if err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	return parseVolumes(out)
}

// dockerVolumes looks at each volume: the list of Docker has labels as one text, in which a
// comma may be part of a value or not.
func dockerVolumes(ctx context.Context, e Engine) ([]Volume, error) {
	out, err := e.Run(ctx, "volume", "ls", "--quiet")
	if err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	names := strings.Fields(out)
	if len(names) == 0 {
		return nil, nil
	}
	out, err = e.Run(ctx, append([]string{"volume", "inspect"}, names...)...)
	if err == nil {
		return parseVolumes(out)
	}
	if !absent(err) {
		return nil, fmt.Errorf("looking at volumes: %w", err)
	}
	// One has gone since it was listed: look at each on its own.
	var all []Volume
	for _, name := range names {
		out, err := e.Run(ctx, "volume", "inspect", name)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking at volumes: %w", err)
		}
		list, err := parseVolumes(out)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// parseVolumes reads what volume ls of podman and volume inspect of either engine write.
func parseVolumes(text string) ([]Volume, error) {
	var list []Volume
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("reading the list of volumes: %w", err)
	}
	return list, nil
}
