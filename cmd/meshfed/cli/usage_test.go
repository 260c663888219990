// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrongCommandLine: exit code 2, what is wrong, and what to write.
func TestWrongCommandLine(t *testing.T) {
	h := newHost(t)
	for _, test := range []struct {
		line string
		says string
		hint string
	}{
		{"nosuch", `unknown command "nosuch"`, "meshfed help"},
		{"validat", `unknown command "validat"`, "did you mean `meshfed validate`?"},
		{"stauts", `unknown command "stauts"`, "meshfed status"},
		{"help nosuch", `unknown command "nosuch"`, "meshfed help"},
		{"help up nosuch", `unknown command "up nosuch"`, "meshfed help"},
		{"completion bash x", `unknown command "x"`, ""},
		{"up --nosuch", "unknown flag: --nosuch", "meshfed up --help"},
		{"up -z", "unknown shorthand flag", "meshfed up --help"},
		{"up --plan nosuch.json -f " + example, "there is no file nosuch.json", "meshfed plan --out nosuch.json"},
		{"up --plan " + example + " -f " + example, "can not be read", "meshfed plan --out"},
		{"up --plan x --replace west -f " + example, "--plan says itself what is replaced", "meshfed plan --out"},
		{"up --replace nosuch -f " + example, `--replace: there is no cluster "nosuch"`, "it has west, east"},
		{"plan --replace nosuch -f " + example, `--replace: there is no cluster "nosuch"`, "it has west, east"},
		{"up --prune-clusters --clusters west -f " + example, "--prune-clusters is about the whole file", "leave one of the two out"},
		{"plan --out x -o dot -f " + example, "-o dot is to be read only", "leave one of the two out"},
		{"verify --disruptive --suite trust -f " + example, "--disruptive is about the suite failover", "add failover to --suite"},
		{"verify --passive --suite weights -f " + example, "sends requests", "trust, discovery"},
		{"render rbac", "--for says nothing", "--for passive"},
		{"render rbac --for up", "`meshfed render rbac --for up` is not built yet", "--for passive"},
		{"render rbac --for nosuch", "there are no such rights", "--for passive"},
		{"down --plan x", "unknown flag: --plan", "meshfed down --help"},
		{"up west", `takes no arguments, got "west"`, "meshfed up --help"},
		{"validate topology.yaml", `takes no arguments, got "topology.yaml"`, "-f topology.yaml"},
		{"status -o xml", `unknown output "xml"`, "-o table or -o json"},
		{"plan -o yaml", `unknown output "yaml"`, "-o table, -o json, -o dot or -o commands"},
		{"status -o dot", `unknown output "dot"`, "-o table or -o json"},
		{"status --parallel -1", "--parallel is -1", "steps may run at once"},
		{"status --parallel many", `invalid argument "many"`, "meshfed status --help"},
		{"status --timeout -1s", "--timeout is -1s", "10m"},
		{"status --timeout 5", "invalid argument", "meshfed status --help"},
		{"up --verify sometimes -f " + example, "--verify sometimes", "auto, always, full or never"},
		{"validate --clusters nosuch -f " + example, `there is no cluster "nosuch"`, "it has west, east"},
		{"plan --clusters west,nosuch -f " + example, `there is no cluster "nosuch"`, "it has west, east"},
		{"verify --suite nosuch -f " + example, `there is no suite "nosuch"`, "there are trust"},
		{"kubeconfig a b -f " + example, "name one cluster", "meshfed kubeconfig"},
		{"kubeconfig nosuch -f " + example, `there is no cluster "nosuch"`, "there are west, east"},
		{"kubeconfig --merge -f " + example, "`meshfed kubeconfig --merge` is not built yet", "meshfed env"},
		{"down --clusters west -f " + example, "down removes the whole mesh", "leave --clusters out"},
		{"bundle pull", "topology.yaml: can not be read", "name the file with -f"},
		{"bundle push", "name the registry to push to", "meshfed bundle push"},
		{"bundle nosuch", `unknown command "bundle nosuch"`, "meshfed bundle pull, build, push or show"},
		{"bundle show x", `takes no arguments, got "x"`, "meshfed bundle show --help"},
		{"plan -f nosuch.yaml", "nosuch.yaml: can not be read", "name the file with -f"},
		{"plan -f " + h.dir, "is a directory", ""},
		{"up", "topology.yaml: can not be read", "name the file with -f"},
	} {
		t.Run(test.line, func(t *testing.T) {
			args := strings.Fields(test.line)
			r := call(t, args...)
			r.refused(t, wrong, test.says, test.hint, "error: ")
			if test.hint != "" {
				r.hinted(t, wrong)
			}
			asJSON(t, wrong, append(args, "-o", "json")...)
		})
	}
	h.madeNothing()
}

// errorObject is the JSON form of an error.
type errorObject struct {
	APIVersion, Kind, Tool, Message, Cluster, Log string
	Substitutions, Hints                          []string
	ExitCode                                      int
}

// asJSON runs a command that fails with -o json: one object on stdout, no word on stderr
// but progress, and the exit code of the table.
func asJSON(t *testing.T, code int, args ...string) errorObject {
	t.Helper()
	var object errorObject
	for i, a := range args {
		if a == "-o" && i+2 < len(args) { // the command line has an -o of its own, which is the mistake
			return object
		}
	}
	r := call(t, args...)
	if r.code != code {
		t.Errorf("%q: exit code %d, want %d\n%s", args, r.code, code, r.stdout)
	}
	if strings.Contains(r.err, "error:") {
		t.Errorf("%q: the error is on stderr too: %s", args, r.err)
	}
	decoder := json.NewDecoder(strings.NewReader(r.stdout))
	if err := decoder.Decode(&object); err != nil || decoder.More() {
		t.Fatalf("%q: stdout is not one JSON object (%v):\n%s", args, err, r.stdout)
	}
	if object.APIVersion != "meshfed.io/v1alpha1" || object.Kind != "Error" || object.ExitCode != code || object.Message == "" {
		t.Errorf("%q: %+v", args, object)
	}
	if object.Hints == nil || object.Substitutions == nil || !strings.HasPrefix(object.Tool, "meshfed ") {
		t.Errorf("%q: hints, substitutions and tool are always there: %s", args, r.stdout)
	}
	return object
}

func TestErrorAsJSON(t *testing.T) {
	t.Parallel()
	object := asJSON(t, wrong, "validate", "-f", example, "--clusters", "nosuch", "-o", "json")
	if len(object.Hints) != 1 || object.Hints[0] != "it has west, east" || strings.Contains(object.Message, "it has") {
		t.Errorf("%+v", object)
	}
	// The format is honoured wherever it stands, also after what could not be parsed.
	for _, line := range []string{"up --nosuch -o json", "up --nosuch --output json", "up --nosuch --output=json", "up --nosuch -ojson",
		"-o json nosuch", "inspect -o json", "help nosuch -o=json"} {
		asJSON(t, wrong, strings.Fields(line)...)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("MESHFED_FILE", example)
	if r := call(t, "validate"); r.code != 0 || !strings.Contains(r.stdout, "usmesh") {
		t.Errorf("MESHFED_FILE: %+v", r)
	}
	call(t, "validate", "-f", filepath.Join(t.TempDir(), "x.yaml")).refused(t, wrong, "x.yaml") // a flag wins
	for name, test := range map[string]struct{ value, says string }{
		"MESHFED_CLUSTERS": {"west,nosuch", `there is no cluster "nosuch"`},
		"MESHFED_OUTPUT":   {"xml", `unknown output "xml"`},
		"MESHFED_PARALLEL": {"many", "reading MESHFED_PARALLEL"},
		"MESHFED_SET":      {"spec.nosuch=1", "spec.nosuch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, test.value)
			call(t, "validate").refused(t, wrong, test.says)
		})
	}
	t.Run("MESHFED_MERGE", func(t *testing.T) {
		t.Setenv("MESHFED_MERGE", "true")
		call(t, "kubeconfig").hinted(t, wrong, "`meshfed kubeconfig --merge` is not built yet")
	})
	t.Run("MESHFED_WATCH", func(t *testing.T) {
		t.Setenv("MESHFED_WATCH", "true")
		call(t, "verify", "--suite", "weights").hinted(t, wrong, `the suite "weights" is not watched`, "without --watch")
	})
	t.Setenv("MESHFED_OUTPUT", "json")
	asJSON(t, wrong, "nosuch")
	asJSON(t, wrong, "validate", "x")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	r := call(t, "version")
	if r.code != 0 || r.err != "" || !strings.HasPrefix(r.stdout, "meshfed ") || !strings.Contains(r.stdout, "\nIstio charts 1.") {
		t.Errorf("%+v", r)
	}
	r = call(t, "version", "-o", "json")
	var object struct{ APIVersion, Kind, Tool, Version, Istio string }
	if err := json.Unmarshal([]byte(r.stdout), &object); err != nil || r.code != 0 {
		t.Fatalf("%v: %+v", err, r)
	}
	if object.Kind != "Version" || object.APIVersion == "" || object.Version == "" || object.Istio == "" || !strings.HasPrefix(object.Tool, "meshfed "+object.Version) {
		t.Errorf("%+v", object)
	}
}
