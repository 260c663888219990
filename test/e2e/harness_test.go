//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/kube"
)

// meshfed is the program under test: MESHFED_BIN, else built once from this checkout.
var meshfed string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if meshfed = os.Getenv("MESHFED_BIN"); meshfed != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "mfe2e-bin-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	meshfed = filepath.Join(dir, "meshfed")
	build := exec.Command("go", "build", "-o", meshfed, "../../cmd/meshfed")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	return m.Run()
}

// engine is a container engine as the tests themselves ask it, beside the program.
type engine struct {
	name string
	// env makes the program and the tests use this engine, whatever else the host has.
	env []string
}

func podman() engine {
	return engine{name: "podman", env: []string{"KIND_EXPERIMENTAL_PROVIDER=podman"}}
}

// command is the engine's, unstarted.
func (e engine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.name, args...)
	cmd.Env = append(os.Environ(), e.env...)
	return cmd
}

// output runs the engine, which must succeed.
func (e engine) output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.command(context.Background(), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", e.name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// mesh is one topology under test with a state directory of its own.
type mesh struct {
	t        *testing.T
	engine   engine
	name     string
	file     string
	state    string
	through  []string // a command that runs the program
	secrets  []string // what must never be printed
	captured bytes.Buffer
	// arguments are command lines of processes that ran at the same time as the program.
	arguments map[string]bool
}

// newMesh writes the example under another name and with other host ports, so that a demo
// on the same host is left alone.
func newMesh(t *testing.T, name string) *mesh {
	t.Helper()
	example, err := os.ReadFile("../../examples/two-clusters/topology.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("name: usmesh", "name: "+name, "30000", "31700", "30001", "31701").Replace(string(example))
	// The thresholds are for a quiet machine; whether failover works must not depend on who
	// else uses this one.
	text += "  verify: {failover: {within: 30s, lostAtMost: 400}}\n"
	return meshOf(t, podman(), name, text)
}

// meshOf is a mesh of a topology of the test's own.
func meshOf(t *testing.T, e engine, name, text string) *mesh {
	t.Helper()
	if !strings.HasPrefix(name, "mfe2e") {
		t.Fatalf("%s is not a name that these tests may use", name)
	}
	m := &mesh{t: t, engine: e, name: name, file: filepath.Join(t.TempDir(), "topology.yaml"), state: filepath.Join(t.TempDir(), "state"), arguments: map[string]bool{}}
	if err := os.WriteFile(m.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// String ends with what the program printed as its answer: of a long failure only the end may
// be kept, and what is wrong stands there.
func (r result) String() string {
	return "exit code " + itoa(r.code) + "\n" + r.stderr + "\n" + r.stdout
}

func itoa(n int) string { data, _ := json.Marshal(n); return string(data) }

// command prepares an invocation for this topology.
func (m *mesh) command(ctx context.Context, args ...string) *exec.Cmd {
	words := append(append(slices.Clone(m.through), meshfed), args...)
	end := len(words)
	if i := slices.Index(words, "--"); i >= 0 {
		end = i // what follows is somebody else's
	}
	words = slices.Insert(words, end, "-f", m.file, "--state-dir", m.state)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), m.engine.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	return cmd
}

// run runs one command to its end and keeps all that it said.
func (m *mesh) run(args ...string) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	return m.finish(m.command(ctx, args...))
}

func (m *mesh) finish(cmd *exec.Cmd) result {
	m.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout = io.MultiWriter(&stdout, &m.captured)
	cmd.Stderr = io.MultiWriter(&stderr, &m.captured)
	stop := m.watchArguments()
	start := time.Now()
	err := cmd.Run()
	stop()
	r := result{stdout: stdout.String(), stderr: stderr.String(), took: time.Since(start)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		m.t.Fatalf("%v: %v\n%s", cmd.Args, err, r.stderr)
	}
	verb := cmd.Args[len(m.through)+1]
	m.t.Logf("meshfed %s: exit %d in %.1f s", verb, r.code, r.took.Seconds())
	return r
}

// must runs a command that has to succeed.
func (m *mesh) must(args ...string) result {
	m.t.Helper()
	r := m.run(args...)
	if r.code != 0 {
		m.t.Fatalf("meshfed %v: %s", args, r)
	}
	return r
}

// client reaches a cluster as its user would.
func (m *mesh) client(cluster string) *kube.Client {
	m.t.Helper()
	c, err := kube.Load(cluster, filepath.Join(m.state, m.name, "kubeconfig", cluster), m.name+"-"+cluster)
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// events reads the step events of the newest run of a verb.
func (m *mesh) events(verb string) []map[string]any {
	m.t.Helper()
	runs, err := filepath.Glob(filepath.Join(m.state, m.name, "runs", "*-"+verb+"*"))
	if err != nil || len(runs) == 0 {
		m.t.Fatalf("no run folder of %s: %v", verb, err)
	}
	slices.Sort(runs)
	data, err := os.ReadFile(filepath.Join(runs[len(runs)-1], "events.jsonl"))
	if err != nil {
		m.t.Fatal(err)
	}
	var events []map[string]any
	for line := range strings.Lines(string(data)) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			m.t.Fatalf("events.jsonl: %v: %s", err, line)
		}
		events = append(events, e)
	}
	return events
}

// report is what the tests read of a VerifyReport.
type report struct {
	APIVersion      string         `json:"apiVersion"`
	Kind            string         `json:"kind"`
	Topology        string         `json:"topology"`
	Clusters        []string       `json:"clusters"`
	Summary         map[string]int `json:"summary"`
	Checks          []check        `json:"checks"`
	DurationSeconds float64        `json:"durationSeconds"`
}

// check is one result of a report.
type check struct {
	ID, Suite, From, To, Variant, Status, Message, Code string
}

func (m *mesh) parse(r result) report {
	m.t.Helper()
	var rep report
	if err := json.Unmarshal([]byte(r.stdout), &rep); err != nil {
		m.t.Fatalf("the report is no JSON: %v\n%s", err, r)
	}
	return rep
}

// failing lists suites with a failed check.
func (r report) failing() []string {
	var suites []string
	for _, c := range r.Checks {
		if c.Status == "fail" && !slices.Contains(suites, c.Suite) {
			suites = append(suites, c.Suite)
		}
	}
	return suites
}

// codes lists the diagnosis codes of failed checks.
func (r report) codes() []string {
	var codes []string
	for _, c := range r.Checks {
		if c.Status == "fail" && !slices.Contains(codes, c.Code) {
			codes = append(codes, c.Code)
		}
	}
	return codes
}

// words are the failed checks, for messages.
func (r report) words() string {
	var b strings.Builder
	for _, c := range r.Checks {
		if c.Status != "pass" && c.Status != "skip" {
			b.WriteString(strings.Join([]string{c.Status, c.ID, c.From, c.To, c.Variant, c.Code, c.Message}, " ") + "\n")
		}
	}
	return b.String()
}
