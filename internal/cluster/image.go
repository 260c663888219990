// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
)

// ImageLabels returns the labels of an image, and false when the engine does not have it.
func ImageLabels(ctx context.Context, e Engine, image string) (map[string]string, bool, error) {
	field := "{{json .Labels}}"
	if isDocker(e) {
		field = "{{json .Config.Labels}}"
	}
	out, err := e.Run(ctx, "image", "inspect", "--format", field, image)
	if absent(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("looking for image %s: %w", image, err)
	}
	labels := map[string]string{}
	if err := json.Unmarshal([]byte(out), &labels); err != nil {
		return nil, false, fmt.Errorf("reading labels of image %s: %w", image, err)
	}
	return labels, true, nil
}
