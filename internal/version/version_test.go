// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package version_test

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestGet: a build without linker flags still has a number, and names no digest that it
// can not know.
func TestGet(t *testing.T) {
	t.Parallel()
	info := version.Get()
	if info.Version != version.Number || strings.Count(info.Version, ".") != 2 || !strings.HasPrefix(info.String(), "meshfed "+version.Number) {
		t.Errorf("%+v", info)
	}
	if info.Go != runtime.Version() || info.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("%+v", info)
	}
	if got, want := version.ProbeImage(), "ghcr.io/meshfed/probe:"+version.Number; got != want {
		t.Errorf("probe image %s, want %s", got, want)
	}
	data, err := json.Marshal(version.Info{Version: "1.2.3"})
	if err != nil || string(data) != `{"version":"1.2.3"}` {
		t.Errorf("%s, %v", data, err)
	}
}

// TestDescribe: every way to build says as much as it can know.
func TestDescribe(t *testing.T) {
	t.Parallel()
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	linked := []*debug.Module{
		{Path: "helm.sh/helm/v4", Version: "v4.2.4"},
		{Path: "istio.io/api", Version: "v1.31.1"},
		{Path: "istio.io/istio", Version: "v0.0.0-20260827124520-eed52ebb66ad"},
		{Path: "k8s.io/client-go", Version: "v0.1.0", Replace: &debug.Module{Path: "k8s.io/client-go", Version: "v0.36.3"}},
		{Path: "sigs.k8s.io/kind", Version: "v0.33.0"},
	}
	git := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "80f0e29ab12cd34e56f7"},
		{Key: "vcs.time", Value: "2026-11-22T10:12:13Z"}, {Key: "vcs.modified", Value: "true"}}
	cases := []struct {
		name                         string
		number, commit, date, digest string
		build                        *debug.BuildInfo
		want                         version.Info
	}{
		{name: "a release", number: "v1.2.3", commit: "abcdefabcdef", date: "2026-11-22T09:12:13+01:00", digest: digest,
			build: &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}, Deps: linked},
			want: version.Info{Version: "1.2.3", Commit: "abcdefabcdef", Date: "2026-11-22T08:12:13Z", IstioCommit: "eed52ebb66ad",
				Libraries:  version.Libraries{Kubernetes: "v0.36.3", Kind: "v0.33.0", Helm: "v4.2.4"},
				ProbeImage: "ghcr.io/meshfed/probe:1.2.3@" + digest}},
		{name: "make build", commit: "abcdefabcdef", date: "2026-11-22T08:12:13Z",
			build: &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}},
			want: version.Info{Version: version.Number, Commit: "abcdefabcdef", Date: "2026-11-22T08:12:13Z",
				ProbeImage: "ghcr.io/meshfed/probe:" + version.Number}},
		{name: "go install of a release",
			build: &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v0.2.0", Sum: "h1:x="}},
			want:  version.Info{Version: "0.2.0", ProbeImage: "ghcr.io/meshfed/probe:0.2.0"}},
		{name: "go install of a commit",
			build: &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v0.2.1-0.20261122101213-80f0e29ab12c", Sum: "h1:x="}},
			want: version.Info{Version: "0.2.1-0.20261122101213-80f0e29ab12c", Commit: "80f0e29ab12c", Date: "2026-11-22T10:12:13Z",
				ProbeImage: "ghcr.io/meshfed/probe:0.2.1-0.20261122101213-80f0e29ab12c"}},
		{name: "go build in a checkout with changes",
			build: &debug.BuildInfo{GoVersion: "go1.26.8", Settings: git, Main: debug.Module{Version: "v0.0.0-20261122101213-80f0e29ab12c+dirty"}},
			want: version.Info{Version: version.Number, Commit: "80f0e29ab12c-dirty", Date: "2026-11-22T10:12:13Z",
				ProbeImage: "ghcr.io/meshfed/probe:" + version.Number}},
		{name: "build metadata is no tag", number: "1.2.3+fips", build: &debug.BuildInfo{GoVersion: "go1.26.8"},
			want: version.Info{Version: "1.2.3+fips", ProbeImage: "ghcr.io/meshfed/probe:1.2.3_fips"}},
		{name: "nothing is known", want: version.Info{Version: version.Number, Go: runtime.Version(), ProbeImage: "ghcr.io/meshfed/probe:" + version.Number}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.want.Platform = runtime.GOOS + "/" + runtime.GOARCH
			if c.build != nil {
				c.want.Go = "go1.26.8"
			}
			if diff := cmp.Diff(c.want, version.Describe(c.number, c.commit, c.date, c.digest, c.build)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
