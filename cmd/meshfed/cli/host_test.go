// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

const example = "../../../examples/two-clusters/topology.yaml"

// result is what a user sees of one command.
type result struct {
	code        int
	stdout, err string
}

// call runs one command line in this process.
func call(t *testing.T, args ...string) result {
	t.Helper()
	return callWith(t, t.Context(), args...)
}

func callWith(t *testing.T, ctx context.Context, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := Run(ctx, args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return result{code, out.String(), errs.String()}
}

// refused fails unless a command ended with code, said nothing on stdout, and said all of
// the texts on stderr, one of them a hint.
func (r result) refused(t *testing.T, code int, says ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.err)
	}
	if r.stdout != "" {
		t.Errorf("stdout is for results, and has:\n%s", r.stdout)
	}
	for _, text := range says {
		if !strings.Contains(r.err, text) {
			t.Errorf("stderr does not say %q:\n%s", text, r.err)
		}
	}
}

// hinted is refused with advice.
func (r result) hinted(t *testing.T, code int, says ...string) {
	t.Helper()
	r.refused(t, code, append(says, "error: ", "hint: ")...)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// host is a machine of a test's own: a state folder, a cache, and a podman that only answers.
type host struct {
	t          *testing.T
	dir, state string
}

// podman answers from files named after the words of its command line, the longest that
// fits, and records each command line.
const podman = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/argv"
name=$1 shorter=$1
[ $# -ge 2 ] && name="$1-$2"
[ $# -ge 3 ] && [ -f "$here/answers/$1-$2-$3" ] && name="$1-$2-$3"
[ -f "$here/answers/$name" ] || name=$shorter
if [ -f "$here/answers/$name.fails" ]; then cat "$here/answers/$name.fails" >&2; exit 125; fi
[ -f "$here/answers/$name.hangs" ] && sleep 60
[ -f "$here/answers/$name" ] && cat "$here/answers/$name"
exit 0
`

const podmanInfo = `{"store": {"graphRoot": "/"}, "version": {"Version": "4.3.1"}}`

// newHost makes the machine and puts it in the environment, so its tests are not parallel.
// Networks, ps and the rest are those of a host on which nothing was made.
func newHost(t *testing.T) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("clusters can be made by root only in this release")
	}
	dir := t.TempDir()
	h := &host{t: t, dir: dir, state: filepath.Join(dir, "state")}
	must(t, os.MkdirAll(filepath.Join(dir, "bin", "answers"), 0o750))
	must(t, os.WriteFile(filepath.Join(dir, "bin", "podman"), []byte(podman), 0o700)) //nolint:gosec // it is run
	must(t, os.WriteFile(filepath.Join(dir, "bin", "runc"), []byte("#!/bin/sh\n"), 0o700))
	h.answer("info", podmanInfo)
	h.answer("volume-ls", "[]")
	h.fails("network-inspect", "Error: no such network")
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+tools(t))
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "default-state"))
	t.Setenv("CONTAINERS_CONF", filepath.Join(dir, "none.conf"))
	return h
}

// tools is a folder with the few programs that the fake engine needs, and no engine.
func tools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"dirname", "cat", "sleep"} {
		for _, from := range []string{"/usr/bin/", "/bin/"} {
			if _, err := os.Stat(from + name); err == nil {
				must(t, os.Symlink(from+name, filepath.Join(dir, name)))
				break
			}
		}
	}
	return dir
}

// answer makes podman print text to commands that begin with the words of name, joined
// with hyphens.
func (h *host) answer(name, text string) {
	h.t.Helper()
	_ = os.Remove(h.path(name + ".fails"))
	must(h.t, os.WriteFile(h.path(name), []byte(text), 0o600))
}

// fails makes podman fail with text.
func (h *host) fails(name, text string) {
	h.t.Helper()
	must(h.t, os.WriteFile(h.path(name), nil, 0o600))
	must(h.t, os.WriteFile(h.path(name+".fails"), []byte(text+"\n"), 0o600))
}

func (h *host) path(name string) string { return filepath.Join(h.dir, "bin", "answers", name) }

// call adds the state folder and the example's file.
func (h *host) call(args ...string) result {
	h.t.Helper()
	return call(h.t, append(args, "--state-dir", h.state)...)
}

// argv is every command line that podman got.
func (h *host) argv() []string {
	data, err := os.ReadFile(filepath.Join(h.dir, "bin", "argv"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// madeNothing fails when there is a file of state, or when podman was told to change something.
func (h *host) madeNothing() {
	h.t.Helper()
	h.noState()
	for _, line := range h.argv() {
		if !slices.ContainsFunc([]string{"info", "network inspect", "network ls", "ps", "container inspect", "image inspect", "version", "volume ls"},
			func(reads string) bool { return strings.HasPrefix(line, reads) }) {
			h.t.Errorf("podman was told: %s", line)
		}
	}
}

func (h *host) noState() {
	h.t.Helper()
	for _, dir := range []string{h.state, filepath.Join(h.dir, "default-state")} {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				h.t.Errorf("it left %s", path)
			}
			return nil
		})
	}
}

// bundle writes the least that opens as an image bundle.
func (h *host) bundle() {
	h.t.Helper()
	dir := filepath.Join(h.dir, "cache", "meshfed", "bundle")
	must(h.t, os.MkdirAll(dir, 0o750))
	for folder, names := range map[string][]string{"images": {pilotImage, probeImage}, "node": {"localhost/meshfed/node:v1.36.3-k"}} {
		l, err := layout.Write(filepath.Join(dir, folder), empty.Index)
		must(h.t, err)
		for _, name := range names {
			must(h.t, l.AppendImage(empty.Image, layout.WithAnnotations(map[string]string{
				"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name})))
		}
	}
	digest, err := empty.Image.Digest()
	must(h.t, err)
	must(h.t, os.WriteFile(filepath.Join(dir, "bundle.json"), fmt.Appendf(nil, bundleJSON, pilotImage, probeImage, digest), 0o600))
}

// The images that every bundle has.
const (
	pilotImage = "docker.io/istio/pilot:" + topology.IstioVersion
	probeImage = "localhost/meshfed/probe:k"
)

const bundleJSON = `{"created": "2026-11-20T10:00:00Z", "key": "k", "kubernetes": "v1.36.3", "istio": "1.31.0",
 "nodeImage": "localhost/meshfed/node:v1.36.3-k",
 "images": [{"name": %[1]q, "digest": %[3]q}, {"name": %[2]q, "digest": %[3]q}], "charts": [], "substitutions": ["upstream Envoy 1.40.0 in place of Istio's proxy"],
 "debian": [{"name": "iptables", "version": "1.8.9"}], "settings": {"upstreamEnvoy": true, "bridgeCNI": true}}
`

// file writes a topology file.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "topology.yaml")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// portless is the example without ports of the host, which may be in use on this one.
const portless = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: usmesh}
spec:
  clusters:
  - {name: west, provider: {kind: {podSubnet: 10.10.0.0/16, serviceSubnet: 10.100.0.0/24}}}
  - {name: east, provider: {kind: {podSubnet: 10.20.0.0/16, serviceSubnet: 10.200.0.0/24}}}
`

const least = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: demo}
spec: {clusters: [{name: west}, {name: east}]}
`

const (
	failed, wrong, unhealthy, changed = diag.ExitFailed, diag.ExitUsage, diag.ExitCheckFailed, diag.ExitWouldChange
)
