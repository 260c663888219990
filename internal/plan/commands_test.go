// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/strvals"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/topology"
)

func parsed(t *testing.T, text string) *Mesh {
	t.Helper()
	tp, err := topology.Parse("topology.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &Mesh{Topology: tp}
}

// TestCommands keeps the scripts of examples as files to read. They need neither engine nor
// state: the meshes have none.
func TestCommands(t *testing.T) {
	t.Parallel()
	for _, example := range []string{"two-clusters", "istio-settings", "docker-registry", "flat-network", "primary-remote", "external-control-plane"} {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, "../../examples/"+example+"/topology.yaml")
			m.Engine, m.Provider = nil, nil
			script := Script(m, Commands(m, Up(m)))
			golden.Check(t, "testdata/"+example+".commands", script)
			if clean := run.Redact(script); clean != script {
				t.Errorf("redaction finds something in it:\n%s", cmp.Diff(script, clean))
			}
		})
	}
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	golden.Check(t, "testdata/two-clusters.dot", Dot(m.Topology.Metadata.Name, Up(m), nil))
}

// TestEveryStepHasACommand: a step that is new in Up is told in the script too.
func TestEveryStepHasACommand(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*Mesh{
		"published images": newMesh(t, "../../examples/two-clusters/topology.yaml"),
		"a remote cluster": newMesh(t, "../../examples/primary-remote/topology.yaml"),
		"an external one":  newMesh(t, "../../examples/external-control-plane/topology.yaml"),
		"a flat network":   newMesh(t, "../../examples/flat-network/topology.yaml"),
		"a mirror":         newMesh(t, "../../examples/docker-registry/topology.yaml"),
		"a bundle":         withBundle(newMesh(t, "../../examples/docker-registry/topology.yaml")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := Up(m)
			commands := Commands(m, steps)
			done := map[string]bool{}
			for _, c := range commands {
				for _, need := range c.Needs {
					if !done[need] {
						t.Errorf("%s comes before %s, which it needs", c.Step, need)
					}
				}
				done[c.Step] = true
				if len(commands) != len(steps) || c.Shell == "" && (c.Note == "" || strings.Contains(c.Note, "there is no command")) {
					t.Errorf("%s: nothing is said of it: %+v", c.Step, c)
				}
			}
			odd := Commands(m, []graph.Step{{ID: "nosuch@west"}, {ID: "nosuch"}})
			if odd[0].Note == "" || odd[1].Note == "" {
				t.Errorf("unknown steps: %+v", odd)
			}
		})
	}
}

// withBundle has every step that there can be for images: those of a bundle whose node image has
// none of them, and a probe that was compiled here.
func withBundle(m *Mesh) *Mesh {
	m.Bundle, m.BuildProbe = &bundle.Bundle{}, true
	return m
}

// TestImagesByHand: a bundle's images come into the nodes under the names that the file's mirror
// gives them, and a login is read by whoever runs the script.
func TestImagesByHand(t *testing.T) {
	t.Parallel()
	m := withBundle(newMesh(t, "../../examples/docker-registry/topology.yaml"))
	script := Script(m, Commands(m, Up(m)))
	for want, times := range map[string]int{
		"kind load image-archive bundle.tar --name usmesh-west\n":                                        1,
		"kind load image-archive probe.tar --name usmesh-east\n":                                         1,
		"images tag --force docker.io/istio/pilot:1.31.0 registry.example.com/mirror/istio/pilot:1.31.0": 2,
		"go install ": 1, `tar -C "$BUNDLE/images"`: 1, "> login.json": 1, "${REGISTRY_PASSWORD:?": 1,
		"create secret docker-registry regcred --namespace istio-system":      2,
		"create secret docker-registry regcred --namespace metallb-system":    2,
		"create namespace istio-system":                                       2,
		"create namespace metallb-system":                                     2,
		"metallb oci://registry.example.com/mirror/charts/metallb --version ": 2,
	} {
		if found := strings.Count(strings.ReplaceAll(script, "\\\n  ", ""), want); found != times {
			t.Errorf("%q is there %d times, want %d", want, found, times)
		}
	}
	made := strings.Index(script, "create namespace istio-system")
	if secret := strings.Index(script, "create secret docker-registry"); made < 0 || secret < made {
		t.Errorf("the login is put into a namespace that is not there yet:\n%s", script)
	}
	for _, plain := range []string{"registry.example.com:5000/mirror", "http://registry.example.com:5000/mirror"} {
		m.Topology.Spec.Images.Mirror = plain
		script := Script(m, Commands(m, Up(m)))
		if !strings.Contains(script, "metallb oci://registry.example.com:5000/mirror/charts/metallb") ||
			strings.Contains(script, "--plain-http") != strings.HasPrefix(plain, "http:") {
			t.Errorf("%s: helm is told something else:\n%s", plain, script)
		}
	}
	if own := Script(parsed(t, unusual), Commands(parsed(t, unusual), Up(parsed(t, unusual)))); strings.Contains(own, "REGISTRY_") {
		t.Error("a login is wanted where the file names none")
	}
}

// TestTheLoginIsDockers: what the script makes of the environment is what docker login keeps.
func TestTheLoginIsDockers(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	for mirror, key := range map[string]string{"registry.example.com/mirror": "registry.example.com", "": "https://index.docker.io/v1/"} {
		m := newMesh(t, "../../examples/docker-registry/topology.yaml")
		m.Topology.Spec.Images.Mirror = mirror
		shell := Commands(m, []graph.Step{{ID: "pull-secret@west"}})[0].Shell
		cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -euo pipefail\nkubectl() { :; }\n"+shell)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "REGISTRY_USER=me", "REGISTRY_PASSWORD=it's $ecret %s and rather a long one so that base64 would break the line it is on")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(filepath.Join(cmd.Dir, "login.json"))
		if err != nil {
			t.Fatal(err)
		}
		var login struct {
			Auths map[string]struct{ Auth []byte }
		}
		if err := json.Unmarshal(data, &login); err != nil || !strings.HasPrefix(string(login.Auths[key].Auth), "me:it's $ecret %s") {
			t.Errorf("%v: %s", err, data)
		}
		cmd = exec.CommandContext(t.Context(), "bash", "-c", "set -euo pipefail\nkubectl() { :; }\n"+shell)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "REGISTRY_USER=me", "REGISTRY_PASSWORD=")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "REGISTRY_PASSWORD") {
			t.Errorf("without a password: %v, %s", err, out)
		}
	}
}

// TestScriptsAreShell: bash can read the scripts of all examples and of unusual topologies.
func TestScriptsAreShell(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	meshes := map[string]*Mesh{"unusual": parsed(t, unusual), "a bundle": withBundle(newMesh(t, "../../examples/docker-registry/topology.yaml"))}
	for _, file := range examples(t) {
		meshes[file] = newMesh(t, file)
	}
	for name, m := range meshes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := filepath.Join(t.TempDir(), "up.sh")
			if err := os.WriteFile(script, []byte(Script(m, Commands(m, Up(m)))), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), bash, "-n", script).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			shellcheck, err := exec.LookPath("shellcheck")
			if err != nil {
				return
			}
			if out, err := exec.CommandContext(t.Context(), shellcheck, script).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

const unusual = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: odd}
spec:
  mesh: {id: odd-mesh, mtls: Strict}
  istio: {values: {pilot: {env: {A: "it's, a [list]=x", B: "007", C: "true", D: ""}}, "dotted.key": 1.5, list: [a, 1], password: planted-secret-of-a-user}}
  clusters: [{name: a-b, ingress: {hostPorts: {http: 30080, https: 30443}}}, {name: c}]
`

// TestScriptSaysWhatTheFileSays: names, labels, subnets, modes and values are the topology's.
func TestScriptSaysWhatTheFileSays(t *testing.T) {
	t.Parallel()
	m := parsed(t, unusual)
	script := Script(m, Commands(m, Up(m)))
	for _, want := range []string{
		"kind create cluster --name odd-a-b ", "kubectl --context odd-c ", "mode: STRICT", "CN = root.odd-mesh", "CN = a-b.intermediate.odd-mesh",
		"hostPort: 30443", "--set global.meshID=odd-mesh", "--set global.network=a-b-network",
		"istioctl create-remote-secret --context odd-c --name c --server https://odd-c-control-plane:6443",
		"--set 'labels.topology\\.istio\\.io/network=c-network'", "network create", "meshfed-odd",
	} {
		if !strings.Contains(script, want) {
			t.Errorf("it does not say %q:\n%s", want, script)
		}
	}
	if strings.Contains(script, "planted-secret") {
		t.Error("a password of the file's Helm values is in it")
	}
	m.Clusters = []string{"c"}
	if script := Script(m, Commands(m, Up(m))); strings.Contains(script, "odd-a-b") {
		t.Errorf("--clusters c still has the other cluster:\n%s", script)
	}
}

// TestSetFlags: helm makes of the flags what the values were.
func TestSetFlags(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"a": {"b": "x", "c": 1, "d": true, "e": false}}`,
		`{"labels": {"topology.istio.io/network": "west-network", "a=b": "x", "c[0]": "y", "d,e": "z", "back\\slash": "w"}}`,
		`{"s": {"a": "true", "b": "1", "c": "007", "d": "null", "e": "", "f": "a,b", "g": "it's {x}", "h": "1.31.0", "i": "[]", "j": "-3", "k": "=", "l": "a b", "m": "True", "n": "+4", "o": "x\\,y"}}`,
		`{"l": [1, "a", {"b": null}], "empty": [], "map": {}, "float": 1.5, "big": 123456789012345678, "neg": -4, "null": null}`,
	} {
		want := map[string]any{}
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		flags := setFlags(want)
		for i := 0; i+1 < len(flags); i += 2 {
			parse := map[string]func(string, map[string]any) error{
				"--set": strvals.ParseInto, "--set-string": strvals.ParseIntoString, "--set-json": strvals.ParseJSON}[flags[i]]
			if err := parse(flags[i+1], got); err != nil {
				t.Errorf("helm refuses %q: %v", flags[i:i+2], err)
			}
		}
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again := map[string]any{}
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, again); diff != "" {
			t.Errorf("%q (-values +what helm reads):\n%s", flags, diff)
		}
	}
}

// TestOpensslMakesWhatIstiodTakes runs the certificate commands, with kubectl left out, and
// holds the files against the rules for a secret cacerts.
func TestOpensslMakesWhatIstiodTakes(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	for _, algorithm := range []string{"ECDSA-P256", "ECDSA-P384", "RSA-2048"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, "../../examples/two-clusters/topology.yaml")
			m.Topology.Spec.Certificates.Root.Generate.Algorithm = algorithm
			m.Topology.Spec.Certificates.Intermediate.Algorithm = algorithm
			script := "set -euo pipefail\nkubectl() { :; }\n"
			for _, c := range Commands(m, Up(m)) {
				if c.Step == "root" || strings.HasPrefix(c.Step, "cacerts@") {
					script += c.Shell
				}
			}
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, name := range []string{"west", "east"} {
				data := map[string][]byte{}
				for key, file := range map[string]string{certs.CACertFile: name + "/ca-cert.pem", certs.CAKeyFile: name + "/ca-key.pem",
					certs.CertChainFile: name + "/cert-chain.pem", certs.RootCertFile: "root-cert.pem"} {
					var err error
					if data[key], err = os.ReadFile(filepath.Join(dir, file)); err != nil {
						t.Fatal(err)
					}
				}
				found, err := certs.ParseCACerts(data)
				if err == nil {
					err = found.Check(time.Now().Add(time.Minute))
				}
				if err != nil {
					t.Fatal(err)
				}
				ca, err := found.Intermediate()
				if err != nil || ca.Subject.CommonName != name+".intermediate.usmesh" || !ca.MaxPathLenZero {
					t.Errorf("%v: %+v", err, ca.Subject)
				}
			}
		})
	}
}

func TestDot(t *testing.T) {
	t.Parallel()
	got := Dot(`a"b`, []graph.Step{{ID: "host", Title: "this host"}, {ID: "x@west", Cluster: "west", Title: "X", Needs: []string{"host"}}}, nil)
	for _, want := range []string{`digraph "a\"b" {`, `subgraph "cluster_west"`, `"host" -> "x@west";`} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %s:\n%s", want, got)
		}
	}
	got = Dot("a", []graph.Step{{ID: "host", Title: "this host"}, {ID: "x@west", Cluster: "west", Title: "X"}}, map[string]graph.Change{
		"host": {Action: graph.None}, "x@west": {Action: graph.Update, Reason: "it \"moved\""},
	})
	for _, want := range []string{`"host" [tooltip="this host", color="gray70"`, `"x@west" [label="x@west\nupdate", tooltip="X: it \"moved\""`} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %s:\n%s", want, got)
		}
	}
}
