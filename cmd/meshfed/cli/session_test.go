// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// sessionOf is a mesh of the example that knows neither an engine nor images yet.
func sessionOf(t *testing.T) *plan.Mesh {
	t.Helper()
	tp, err := topology.Load(example)
	must(t, err)
	dir, err := state.Open(t.TempDir(), tp.Metadata.Name)
	must(t, err)
	return &plan.Mesh{Topology: tp, State: dir}
}

// TestChooseImages: the bundle that is named, a mirror, the bundle that is there, registries.
func TestChooseImages(t *testing.T) {
	const mirror = "mirror.example/mesh"
	for name, test := range map[string]struct {
		kept   bool // there is a default bundle
		breaks func(dir string) error
		named  string
		mirror string
		pulls  bool
		says   string
	}{
		"nothing":                  {pulls: true},
		"the default bundle":       {kept: true},
		"a named bundle":           {named: "there"},
		"a named one, a mirror":    {named: "there", mirror: mirror},
		"a mirror":                 {mirror: mirror, pulls: true},
		"a mirror, and a bundle":   {kept: true, mirror: mirror, pulls: true},
		"a named one is not there": {kept: true, named: "gone", says: "there is no image bundle in "},
		"a damaged bundle": {kept: true, says: "is damaged", breaks: func(dir string) error {
			return os.RemoveAll(filepath.Join(dir, "node"))
		}},
		"a bundle that is no JSON": {kept: true, says: "bundle.json", breaks: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "bundle.json"), []byte("{"), 0o600)
		}},
		"what is left of a bundle": {kept: true, pulls: true, breaks: func(dir string) error {
			return os.Remove(filepath.Join(dir, "bundle.json"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
			kept := bundle.DefaultDir()
			if kept != filepath.Join(dir, "cache", "meshfed", "bundle") {
				t.Fatalf("the default bundle is in %s", kept)
			}
			want, named := kept, ""
			if test.kept {
				(&host{t: t, dir: dir}).bundle()
			}
			switch test.named {
			case "there":
				(&host{t: t, dir: elsewhere}).bundle()
				named = filepath.Join(elsewhere, "cache", "meshfed", "bundle")
				want = named
			case "gone":
				named = filepath.Join(elsewhere, "none")
			}
			if test.breaks != nil {
				must(t, test.breaks(kept))
			}
			m := sessionOf(t)
			m.Topology.Spec.Images.Mirror = test.mirror
			err := (&app{}).chooseImages(m, named)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) || m.Pull {
					t.Errorf("%v; nodes pull: %v", err, m.Pull)
				}
				return
			}
			must(t, err)
			if m.Pull != test.pulls || (m.Bundle != nil) == test.pulls || m.Bundle != nil && m.Bundle.Dir != want {
				t.Errorf("nodes pull: %v, bundle %+v", m.Pull, m.Bundle)
			}
		})
	}
}

// docker makes a second engine, which is looked for first, and whose answers are apart.
func (h *host) docker(answers map[string]string) {
	h.t.Helper()
	dir := filepath.Join(h.dir, "docker")
	must(h.t, os.MkdirAll(filepath.Join(dir, "answers"), 0o750))
	must(h.t, os.WriteFile(filepath.Join(dir, "docker"), []byte(podman), 0o700)) //nolint:gosec // it is run
	for name, text := range map[string]string{"--version": "Docker version 27.5.1", "info": dockerInfo, "context": `"unix:///var/run/docker.sock"`} {
		must(h.t, os.WriteFile(filepath.Join(dir, "answers", name), []byte(text), 0o600))
	}
	for name, text := range answers {
		if fails, ok := strings.CutPrefix(text, "fails: "); ok {
			must(h.t, os.WriteFile(filepath.Join(dir, "answers", name+".fails"), []byte(fails+"\n"), 0o600))
			text = ""
		}
		must(h.t, os.WriteFile(filepath.Join(dir, "answers", name), []byte(text), 0o600))
	}
	h.t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

const dockerInfo = `{"ID": "one", "ServerVersion": "27.5.1", "OSType": "linux", "Architecture": "x86_64", "DockerRootDir": "/", "CgroupVersion": "2"}`

// TestFindEngine: what an earlier run used, else where the clusters are, else what is found.
func TestFindEngine(t *testing.T) {
	const (
		there   = `[{"Name": "meshfed-usmesh", "IPAM": {"Config": [{"Subnet": "198.51.100.0/24"}]}}]`
		here    = `[{"name": "meshfed-usmesh", "subnets": [{"subnet": "198.51.100.0/24"}]}]`
		none    = "fails: Error response from daemon: network meshfed-usmesh not found"
		trouble = "fails: Error response from daemon: something went wrong"
	)
	nothing, found := map[string]string{"network-inspect": none}, map[string]string{"network-inspect": there}
	const network = "meshfed-usmesh"
	for name, test := range map[string]struct {
		docker    map[string]string // nil for none
		podman    string
		container bool // podman has a cluster of ours on the network of everybody
		recorded  state.Engine
		shared    string
		want      string
		why       string
		says      string
	}{
		"only podman":                    {want: "podman"},
		"both, nothing was made":         {docker: nothing, want: "docker", why: "its daemon answers"},
		"both, it is on Docker":          {docker: found, podman: here, want: "docker", why: "its daemon answers"},
		"both, it is on podman":          {docker: nothing, podman: here, want: "podman", why: "the clusters are there"},
		"both, Docker is in trouble":     {docker: map[string]string{"network-inspect": trouble}, podman: here, says: "something went wrong"},
		"both, podman was used":          {docker: found, recorded: state.Engine{Name: "podman"}, want: "podman", why: "an earlier run used it"},
		"both, Docker was used":          {docker: nothing, podman: here, recorded: state.Engine{Name: "docker", Network: network}, want: "docker", why: "an earlier run used it"},
		"Docker was used and is gone":    {podman: here, recorded: state.Engine{Name: "docker"}, says: "docker is not in PATH, and an earlier run used it"},
		"the same daemon":                {docker: found, recorded: state.Engine{Name: "docker", ID: "one", Network: network}, want: "docker"},
		"another daemon":                 {docker: found, recorded: state.Engine{Name: "docker", ID: "two", Network: network}, says: "are on another docker: it was two, and this one is one"},
		"another network":                {docker: found, recorded: state.Engine{Name: "docker", ID: "one", Network: "kind"}, says: "are on container network kind, and the file says meshfed-usmesh"},
		"everybody's network":            {docker: nothing, podman: here, shared: "kind", want: "docker"},
		"everybody's, it is on podman":   {docker: nothing, container: true, shared: "kind", want: "podman", why: "the clusters are there"},
		"everybody's, Docker in trouble": {docker: map[string]string{"ps": trouble}, container: true, shared: "kind", says: "something went wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			for _, variable := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "KIND_EXPERIMENTAL_PROVIDER"} {
				t.Setenv(variable, "")
			}
			if test.podman != "" {
				h.answer("network-inspect", test.podman)
			}
			if test.container {
				h.answer("ps", "0123")
				h.answer("container-inspect", `[{"Id": "0123", "Name": "usmesh-west-control-plane", "State": {"Status": "running"}}]`)
				h.answer("exec", `{"labels": {"meshfed.io/topology": "usmesh", "meshfed.io/owner": "0123456789abcdef"}}`)
			}
			if test.docker != nil {
				h.docker(test.docker)
			}
			m := sessionOf(t)
			m.Topology.Spec.ContainerNetwork = test.shared
			if test.recorded.Name != "" {
				must(t, m.State.SetEngine(test.recorded))
			}
			err := (&app{}).findEngine(t.Context(), m)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v", err)
				}
				return
			}
			must(t, err)
			if m.Facts.Engine != test.want || m.Engine.Name() != test.want || test.why != "" && m.Facts.Why != test.why {
				t.Errorf("%s, %s: %s", m.Facts.Engine, m.Engine.Name(), m.Facts.Why)
			}
			for _, line := range h.argv() {
				if strings.HasPrefix(line, "network create") || strings.HasPrefix(line, "run") {
					t.Errorf("podman was told: %s", line)
				}
			}
		})
	}
}
