// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/version"
)

// parseVersion reads the answer of /version.
func parseVersion(data []byte) (string, error) {
	var info version.Info
	if err := json.Unmarshal(data, &info); err != nil {
		return "", fmt.Errorf("reading the API server's version: %w", err)
	}
	if info.GitVersion == "" {
		return "", fmt.Errorf("reading the API server's version: the answer has none")
	}
	return info.GitVersion, nil
}
