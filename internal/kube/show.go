// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/meshfed/meshfed/internal/run"
)

// maxShown is how long a value in a difference may be.
const maxShown = 120

// show writes a value of a field for people; long ones are cut, absent ones are "".
func show(v any) string {
	if v == nil {
		return ""
	}
	text, ok := v.(string)
	if !ok {
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprintf("(%T)", v)
		}
		text = string(data)
	}
	text = run.Redact(text)
	if len(text) > maxShown {
		text = fmt.Sprintf("%s... (%d bytes, %s)", text[:maxShown-40], len(text), fingerprint(text))
	}
	return text
}

// fingerprint says only whether two values are the same: "SHA256:" and 12 hex digits. The
// base64 of a Secret's data is undone first.
func fingerprint(v any) string {
	if v == nil {
		return ""
	}
	data, err := json.Marshal(v)
	if text, ok := v.(string); ok {
		data = []byte(text)
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			data = raw
		}
	} else if err != nil {
		return fmt.Sprintf("(%T)", v)
	}
	sum := sha256.Sum256(data)
	return "SHA256:" + hex.EncodeToString(sum[:6])
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
