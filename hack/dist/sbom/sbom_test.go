// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package sbom_test

import (
	"bytes"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/hack/dist/sbom"
	"github.com/meshfed/meshfed/internal/golden"
)

// small is a program of two modules.
func small() sbom.Binary {
	return sbom.Binary{
		Name: "meshfed", Version: "1.2.3", SHA256: strings.Repeat("ab", 32),
		Build: &debug.BuildInfo{
			GoVersion: "go1.26.8", Path: "github.com/meshfed/meshfed/cmd/meshfed",
			Main: debug.Module{Path: "github.com/meshfed/meshfed", Version: "(devel)"},
			Deps: []*debug.Module{
				{Path: "github.com/Masterminds/semver/v3", Version: "v3.5.0", Sum: "h1:kQceYJfbupGfZOKZQg0kou0DgAKhzDg2NZPAwZ/2OOE="},
				{Path: "github.com/peterbourgon/diskv", Version: "v2.0.1+incompatible", Sum: "h1:UBdAOUP5p4RWqPBg048CAvpKN+vxiaj6gdUUzhl4XmI="},
			},
			Settings: []debug.BuildSetting{{Key: "GOOS", Value: "darwin"}, {Key: "GOARCH", Value: "arm64"}, {Key: "-ldflags", Value: "-s -w"}},
		},
		Licences: map[string]string{"std": "BSD-3-Clause", "github.com/meshfed/meshfed": "Apache-2.0",
			"github.com/Masterminds/semver/v3": "MIT", "github.com/peterbourgon/diskv": "Apache-2.0 AND MIT"},
		Needs: map[string][]string{"github.com/meshfed/meshfed": {"std", "github.com/peterbourgon/diskv"},
			"github.com/peterbourgon/diskv": {"std", "github.com/Masterminds/semver/v3"}, "github.com/Masterminds/semver/v3": {"std"}},
	}
}

func written(t *testing.T, b sbom.Binary) string {
	t.Helper()
	var out bytes.Buffer
	if err := sbom.Write(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWrite keeps the list of a small program as a file to read; it has no time, and its
// serial number changes with the program only.
func TestWrite(t *testing.T) {
	t.Parallel()
	got := written(t, small())
	golden.Check(t, "testdata/small.cdx.json", got)
	other := small()
	other.SHA256 = strings.Repeat("cd", 32)
	serial := func(s string) string {
		_, s, _ = strings.Cut(s, `"serialNumber": "`)
		return s[:len("urn:uuid:00000000-0000-0000-0000-000000000000")]
	}
	if serial(got) == serial(written(t, other)) || !strings.HasPrefix(serial(got), "urn:uuid:") {
		t.Errorf("another program has the same serial number %s", serial(got))
	}
}

// TestRefuse: a list that would be wrong is not written.
func TestRefuse(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*sbom.Binary){
		"nobody knows the licence of module github.com/peterbourgon/diskv": func(b *sbom.Binary) { delete(b.Licences, "github.com/peterbourgon/diskv") },
		"nobody knows the licence of module std":                           func(b *sbom.Binary) { delete(b.Licences, "std") },
		"is replaced by ../mine":                                           func(b *sbom.Binary) { b.Build.Deps[0].Replace = &debug.Module{Path: "../mine"} },
		`has the checksum "", want h1:`:                                    func(b *sbom.Binary) { b.Build.Deps[1].Sum = "" },
		"needs example.org/x, which is not in the binary":                  func(b *sbom.Binary) { b.Needs["std"] = []string{"example.org/x"} },
	} {
		b := small()
		spoil(&b)
		if err := sbom.Write(&bytes.Buffer{}, b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
