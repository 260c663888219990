//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTwoClusters is the whole mission on the example: up, up again, the proof, four faults
// with their repair, and down. The parts build on each other, so the first failure ends it.
func TestTwoClusters(t *testing.T) {
	before := inventory(t, "")
	var neighbour bystander
	m := newMesh(t, "mfe2e")
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })

	steps := []struct {
		name string
		run  func(*testing.T, *mesh)
	}{
		{"interrupted while clusters are made", interrupted},
		{"a neighbour makes a kind cluster of its own", func(t *testing.T, m *mesh) { neighbour = startBystander(t, m) }},
		{"up goes on and proves", firstUp},
		{"up again changes nothing", upAgain},
		{"status, env and kubeconfig", looks},
		{"a remote secret is removed", withoutRemoteSecret},
		{"the east-west gateway is scaled to 0", withoutGateway},
		{"the cross-network Gateway is removed", withoutExposure},
		{"east's cacerts come from another root", foreignRoot},
		{"the state directory is lost", stateLost},
		{"no key or token was written anywhere", noSecrets},
		{"down leaves the root key only", down},
	}
	for _, step := range steps {
		ok := t.Run(step.name, func(t *testing.T) {
			m.t = t
			step.run(t, m)
		})
		m.t = t
		if !ok {
			t.Fatalf("%s: the rest builds on it", step.name)
		}
	}
	neighbour.mustLive(t)
	neighbour.remove(t)
	sameInventory(t, before, inventory(t, m.state))
}

// interrupted sends Ctrl-C while the clusters are made: the program ends within 5 s with
// code 130, and what it leaves is for the next step to go on from.
func interrupted(t *testing.T, m *mesh) {
	cmd := m.command(t.Context(), "up", "--verify", "never")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.Now().Add(5 * time.Minute)
	for !nodeExists(t, "mfe2e-west") {
		if time.Now().After(deadline) {
			t.Fatalf("no node container came up: %s", out.String())
		}
		select {
		case err := <-ended:
			t.Fatalf("up ended by itself: %v\n%s", err, out.String())
		case <-time.After(200 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	select {
	case <-ended:
		t.Logf("ended %.1f s after the signal", time.Since(asked).Seconds())
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Signal(syscall.SIGKILL)
		t.Fatalf("still running 20 s after SIGINT:\n%s", out.String())
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d after SIGINT, want 130\n%s", code, out.String())
	}
	m.captured.Write(out.Bytes())
}

func nodeExists(t *testing.T, cluster string) bool {
	t.Helper()
	out, err := exec.Command("podman", "ps", "-a", "--filter", "label=io.x-k8s.kind.cluster="+cluster, "--format", "{{.Names}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	return len(bytes.TrimSpace(out)) > 0
}

func firstUp(t *testing.T, m *mesh) {
	r := m.run("up", "--verify", "full", "-v")
	if r.code != 0 {
		t.Fatal(r)
	}
	for _, want := range []string{"west", "east", "trust", "discovery", "weights", "locality", "failover", "authorization", "upstream Envoy"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the result does not mention %q", want)
		}
	}
	t.Log(r.stdout)
	m.collectSecrets()
}

func upAgain(t *testing.T, m *mesh) {
	r := m.must("up")
	if !strings.Contains(r.stdout, "nothing changed") {
		t.Errorf("the second up does not say that nothing changed:\n%s", r)
	}
	for _, e := range m.events("up") {
		if e["event"] == "changed" {
			t.Errorf("the second up changed %v: %v", e["step"], e["change"])
		}
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan on a healthy mesh sees changes: %s", plan)
	}
}

func looks(t *testing.T, m *mesh) {
	status := m.must("status")
	for _, want := range []string{"west", "east", "ready", "remote secret", "substitution:", ":15443", "http://127.0.0.1:31700"} {
		if !strings.Contains(status.stdout, want) {
			t.Errorf("status does not mention %q:\n%s", want, status.stdout)
		}
	}
	env := m.must("env")
	for _, want := range []string{"export KUBECONFIG=", "export CTX_WEST='mfe2e-west'", "export EASTWEST_EAST="} {
		if !strings.Contains(env.stdout, want) {
			t.Errorf("env does not have %q:\n%s", want, env.stdout)
		}
	}
	// Not captured: a kubeconfig is the one output that holds a key, because it was asked for.
	cmd := m.command(t.Context(), "kubeconfig", "east")
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte("current-context: mfe2e-east")) {
		t.Errorf("kubeconfig east: %v", err)
	}
	report := m.parse(m.must("verify", "-o", "json"))
	if report.APIVersion != "meshfed.io/v1alpha1" || report.Kind != "VerifyReport" || report.Topology != m.name {
		t.Errorf("the report's head is wrong: %+v", report)
	}
	if report.Summary["fail"]+report.Summary["inconclusive"] > 0 || report.Summary["pass"] == 0 {
		t.Errorf("summary %v:\n%s", report.Summary, report.words())
	}
	t.Logf("verify with failover: %.1f s, %v", report.DurationSeconds, report.Summary)
	if left := m.probesLeft(); len(left) > 0 {
		t.Errorf("verify left %v", left)
	}
}

func down(t *testing.T, m *mesh) {
	m.must("down")
	left := inventory(t, m.state)
	ours := slices.DeleteFunc(left, func(s string) bool { return !strings.Contains(s, m.name) })
	for _, file := range ours {
		if !strings.Contains(file, "/pki/root.") {
			t.Errorf("left behind: %s", file)
		}
	}
	if _, err := os.Stat(filepath.Join(m.state, m.name, "pki", "root.key")); err != nil {
		t.Errorf("the root key is gone: %v", err)
	}
	again := m.must("down")
	if !strings.Contains(again.stdout, "nothing of") {
		t.Errorf("the second down did something: %s", again)
	}
	m.must("down", "--delete-certs")
	if _, err := os.Stat(filepath.Join(m.state, m.name)); !os.IsNotExist(err) {
		t.Errorf("the state directory is still there after --delete-certs: %v", err)
	}
}

// stateLost deletes everything but the root key, which is the only needed state.
func stateLost(t *testing.T, m *mesh) {
	dir := filepath.Join(m.state, m.name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "pki" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	m.must("status")
	if r := m.run("verify", "--suite", "trust"); r.code != 0 {
		t.Errorf("verify without a state directory: %s", r)
	}
	if r := m.run("plan", "--detailed-exitcode"); r.code != 0 {
		t.Errorf("plan without a state directory: %s", r)
	}
}

// contextFor bounds what a test does with a cluster itself.
func contextFor(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
