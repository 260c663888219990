// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package support

import (
	"path"
	"regexp"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/run"
)

// blot stands in place of what may be a secret.
const blot = "[redacted]"

// telling are names of environment variables whose values may be secrets.
var telling = regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|api_?key|private|auth`)

// clean blots keys, tokens and passwords out of a file, by what they look like.
func clean(name string, data []byte) []byte {
	if path.Ext(name) == ".json" {
		return run.RedactJSON(data)
	}
	return []byte(run.Redact(string(data)))
}

// strip removes from an object what nobody reads (managed fields), what repeats it with secrets (the
// annotation of kubectl apply), and the values of telling environment variables.
func strip(object map[string]any) {
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, corev1.LastAppliedConfigAnnotation)
		}
	}
	hide(object)
}

// hide goes through a value and blots out the value of each {name, value} whose name tells.
func hide(v any) {
	switch v := v.(type) {
	case map[string]any:
		name, _ := v["name"].(string)
		if _, ok := v["value"].(string); ok && telling.MatchString(name) {
			v["value"] = blot
		}
		for _, inner := range v {
			hide(inner)
		}
	case []any:
		for _, inner := range v {
			hide(inner)
		}
	}
}
