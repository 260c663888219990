// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package version_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/version"
)

func TestString(t *testing.T) {
	t.Parallel()
	for want, info := range map[string]version.Info{
		"meshfed 1.2.3":                             {Version: "1.2.3", Istio: "1.31.0"},
		"meshfed 1.2.3 (abc)":                       {Version: "1.2.3", Commit: "abc"},
		"meshfed 1.2.3 (2026-11-22T08:00:00Z)":      {Version: "1.2.3", Date: "2026-11-22T08:00:00Z"},
		"meshfed 1.2.3 (abc, 2026-11-22T08:00:00Z)": {Version: "1.2.3", Commit: "abc", Date: "2026-11-22T08:00:00Z"},
	} {
		if got := info.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestGet: a build without linker flags still has a number, and claims nothing else.
func TestGet(t *testing.T) {
	t.Parallel()
	info := version.Get()
	if info.Version != version.Number || strings.Count(info.Version, ".") != 2 || !strings.HasPrefix(info.String(), "meshfed "+version.Number) {
		t.Errorf("%+v", info)
	}
	data, err := json.Marshal(version.Info{Version: "1.2.3"})
	if err != nil || string(data) != `{"version":"1.2.3"}` {
		t.Errorf("%s, %v", data, err)
	}
}
