//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cut is a network namespace that has a loopback interface and nothing else.
const cut = "mfe2e-cut"

// TestAllCarried pulls a bundle where there is a registry, carries it to another folder and
// uses it where there is no network at all: the program, the engine and the clusters run in a
// network namespace of their own.
func TestAllCarried(t *testing.T) {
	onlyAll(t)
	host, e := startRegistry(t)
	mirror := host.Addr + "/mesh"
	m := meshOf(t, e, "mfe2ec", strings.ReplaceAll(fmt.Sprintf(mirrored, mirror, host.Addr), "mfe2er", "mfe2ec"))
	m.pushed(mirror)
	m.pushesCharts(host)
	here, there := filepath.Join(t.TempDir(), "bundle"), filepath.Join(t.TempDir(), "carried")
	m.must("bundle", "pull", "--dir", here)
	if out, err := exec.Command("cp", "-a", here, there).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.RemoveAll(here); err != nil {
		t.Fatal(err)
	}
	host.Stop()

	before := inventory(t, e, "")
	must(t, "ip", "netns", "add", cut)
	t.Cleanup(func() { must(t, "ip", "netns", "delete", cut) })
	must(t, "ip", "-n", cut, "link", "set", "lo", "up")
	if out, err := exec.Command("nsenter", "--net=/run/netns/"+cut, "ip", "route").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("the network is not cut: %v %s", err, out)
	}
	// Not `ip netns exec`, which would take the cgroups away with its own /sys.
	m.through = []string{"nsenter", "--net=/run/netns/" + cut}
	m.engine.env = append(m.engine.env, "XDG_CACHE_HOME="+t.TempDir())
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	if r := m.run("up"); r.code != 1 || !strings.Contains(r.stderr, "bundle") {
		t.Errorf("up without a bundle and without a network: %s", r)
	}
	m.must("up", "--bundle", there, "--verify", "full")
	m.must("down", "--delete-certs", "--yes")
	sameInventory(t, before, inventory(t, e, m.state))
}

func must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}
