// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNoEngine(t *testing.T) {
	h := newHost(t)
	h.bundle()
	t.Setenv("PATH", tools(t))
	for _, verb := range []string{"up", "plan", "status", "verify", "down", "env", "kubeconfig"} {
		h.call(verb, "-f", example).hinted(t, failed, "no container engine found: neither docker nor podman is in PATH", "apt-get install -y podman runc")
		object := asJSON(t, failed, verb, "-f", example, "--state-dir", h.state, "-o", "json")
		if !strings.Contains(strings.Join(object.Hints, " "), "apt-get install") {
			t.Errorf("%s: hints %q", verb, object.Hints)
		}
	}
	h.madeNothing()
}

func TestBrokenEngine(t *testing.T) {
	h := newHost(t)
	h.fails("info", "Error: cannot open the storage database")
	h.call("up", "-f", example).hinted(t, failed, "cannot open the storage database", "podman info")
	h.answer("info", `{"store": {"graphRoot": "/"}, "version": {"Version": "3.4.4"}}`)
	h.call("up", "-f", example).hinted(t, failed, "podman 3.4.4 is too old", "apt-get install")
	h.madeNothing()
}

func TestUpWithoutBundle(t *testing.T) {
	h := newHost(t)
	path := file(t, portless)
	h.call("up", "-f", path).hinted(t, failed, "looking for the images in their registry", "docker.io", "spec.images.mirror", "meshfed bundle pull")
	h.call("up", "-f", path, "--set", "spec.images.mirror=127.0.0.1:1/mirror").hinted(t, failed, "looking for the images in their registry", "127.0.0.1:1")
	h.call("up", "-f", path, "--bundle", h.dir).hinted(t, failed, "there is no image bundle in "+h.dir)
	h.madeNothing()
}

func TestPortInUse(t *testing.T) {
	h := newHost(t)
	h.bundle()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	path, set := file(t, portless), fmt.Sprintf("spec.clusters[1].ingress.hostPorts.http=%d", port)
	says := fmt.Sprintf("port %d of this host is in use", port)
	h.call("up", "-f", path, "--set", set).hinted(t, failed, says, fmt.Sprintf("ss -ltnp 'sport = :%d'", port))
	asJSON(t, failed, "up", "-f", path, "--set", set, "--state-dir", h.state, "-o", "json")
	h.madeNothing()
}

func TestNetworkThatOverlaps(t *testing.T) {
	const owner = "0123456789abcdef"
	for name, test := range map[string]struct {
		network    string
		says, hint string
	}{
		"of someone else": {`[{"name": "meshfed-usmesh", "subnets": [{"subnet": "10.90.0.0/24"}]}]`,
			"not made by this topology", "podman network rm meshfed-usmesh"},
		"ours, and pods in it": {`[{"name": "meshfed-usmesh", "subnets": [{"subnet": "10.10.7.0/24"}],
			"labels": {"meshfed.io/topology": "usmesh", "meshfed.io/owner": "` + owner + `"}}]`,
			"container network meshfed-usmesh has 10.10.7.0/24, which overlaps 10.10.0.0/16 of the topology", "choose another podSubnet"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.bundle()
			path := file(t, portless)
			h.answer("network-inspect", test.network)
			h.call("up", "-f", path).hinted(t, failed, test.says, test.hint)
			h.madeNothing()
		})
	}
}

// TestNoFreeSubnet: nothing is made when every subnet is taken, as by a company's VPN that
// routes all private addresses.
func TestNoFreeSubnet(t *testing.T) {
	h := newHost(t)
	h.bundle()
	path := file(t, portless)
	h.answer("network-ls", "vpn\n")
	h.answer("network-inspect-vpn", `[{"name": "vpn", "subnets": [{"subnet": "10.0.0.0/8"}, {"subnet": "172.16.0.0/12"}, {"subnet": "192.168.0.0/16"}]}]`)
	r := h.call("up", "-f", path)
	r.hinted(t, failed, "every subnet that could be used overlaps something on this host", "ip route", "log:   "+h.state)
	for _, line := range h.argv() {
		if strings.HasPrefix(line, "network create") || strings.HasPrefix(line, "run") || strings.HasPrefix(line, "load") {
			t.Errorf("podman was told: %s", line)
		}
	}
	if _, err := os.Stat(filepath.Join(h.state, "usmesh", "pki")); err == nil {
		t.Error("a root key was made all the same")
	}
	// Progress is no result, whatever the output format.
	object := asJSON(t, failed, "up", "-f", path, "--state-dir", h.state, "-o", "json")
	if !strings.HasPrefix(object.Log, h.state) {
		t.Errorf("the log is %q", object.Log)
	}
	if _, err := os.Stat(object.Log); err != nil {
		t.Error(err)
	}
}

// TestLookingLeavesNoTrace: on a host where nothing was made, commands that read say so.
func TestLookingLeavesNoTrace(t *testing.T) {
	h := newHost(t)
	t.Setenv("CONTAINERS_CONF", "") // as on most hosts: the program may write its own, and must not
	r := h.call("status", "-f", example)
	if r.code != unhealthy || strings.Count(r.stdout, "absent") != 2 || !strings.Contains(r.stdout, "never verified") {
		t.Errorf("%+v", r)
	}
	r = h.call("plan", "-f", example)
	if r.code != 0 || !strings.Contains(r.stdout, "cluster@west") || !strings.Contains(r.stdout, "+ create") {
		t.Errorf("%+v", r)
	}
	if r = h.call("plan", "-f", example, "--detailed-exitcode", "-o", "json"); r.code != changed {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	var object struct {
		Kind, Topology string
		Steps          []struct{ ID, Action string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &object); err != nil || object.Kind != "Plan" || object.Topology != "usmesh" || len(object.Steps) < 20 {
		t.Errorf("%v: %+v", err, object)
	}
	r = h.call("down", "-f", example, "--dry-run")
	if r.code != 0 || strings.Contains(r.stdout, "delete ") && !strings.Contains(r.stdout, "nothing") {
		t.Errorf("%+v", r)
	}
	for _, verb := range []string{"env", "kubeconfig"} {
		h.call(verb, "-f", example).refused(t, failed, "usmesh-west: the cluster does not exist")
	}
	h.madeNothing()
}

// TestDrawing: a plan is drawn with what would be done, and without an engine from the file alone.
func TestDrawing(t *testing.T) {
	h := newHost(t)
	r := h.call("plan", "-f", example, "-o", "dot")
	if r.code != 0 || !strings.Contains(r.stdout, `label="cluster@west\ncreate"`) || strings.Contains(r.err, "drawn") {
		t.Errorf("%+v", r)
	}
	t.Setenv("PATH", t.TempDir())
	r = h.call("plan", "-f", example, "-o", "dot")
	if r.code != 0 || !strings.Contains(r.stdout, `"cluster@west" [tooltip="kind cluster"];`) || !strings.Contains(r.err, "note: drawn from the file alone") {
		t.Errorf("%+v", r)
	}
	h.madeNothing()
}

// TestDownOfNothing is success, twice, and leaves nothing.
func TestDownOfNothing(t *testing.T) {
	h := newHost(t)
	for range 2 {
		r := h.call("down", "-f", example)
		if r.code != 0 || !strings.Contains(r.stdout, "nothing of usmesh is here") {
			t.Errorf("%+v", r)
		}
	}
	if left, _ := os.ReadDir(h.state); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func TestLocked(t *testing.T) {
	h := newHost(t)
	h.bundle()
	path := file(t, portless)
	m, err := (&app{stateDir: h.state, file: path}).open(t.Context())
	must(t, err)
	release, err := m.State.Lock("up")
	must(t, err)
	defer release()
	for _, verb := range []string{"up", "verify", "down"} {
		h.call(verb, "-f", path).hinted(t, failed, fmt.Sprintf("in use by meshfed up (process %d)", os.Getpid()), "wait until it is done")
	}
}

func TestInterrupted(t *testing.T) {
	h := newHost(t)
	h.bundle()
	path := file(t, portless)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, verb := range []string{"up", "plan", "status", "verify", "down", "env", "kubeconfig"} {
		args := []string{verb, "-f", path, "--state-dir", h.state}
		if r := callWith(t, ctx, args...); r.code != 130 || r.stdout != "" {
			t.Errorf("%s: %+v", verb, r)
		}
		if r := callWith(t, ctx, append(args, "-o", "json")...); r.code != 130 {
			t.Errorf("%s -o json: %+v", verb, r)
		}
	}
	h.madeNothing()
}

// TestInterruptedAtWork: Ctrl-C while a step waits for the engine ends it soon, and says how
// to go on.
func TestInterruptedAtWork(t *testing.T) {
	h := newHost(t)
	h.bundle()
	h.answer("network-create", "")
	h.answer("network-create.hangs", "")
	for _, format := range []string{"table", "json"} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		r := callWith(t, ctx, "up", "-f", file(t, portless), "--state-dir", h.state, "-o", format)
		if took := time.Since(start); r.code != 130 || took > 5*time.Second {
			t.Errorf("%s: exit code %d after %s: %s%s", format, r.code, took, r.stdout, r.err)
		}
		if !strings.Contains(r.stdout+r.err, "` removes what is there") {
			t.Errorf("%s: it does not say how to go on: %s%s", format, r.stdout, r.err)
		}
	}
}

// TestTimeout: the whole command, said by the flag's name.
func TestTimeout(t *testing.T) {
	h := newHost(t)
	h.bundle()
	path := file(t, portless)
	h.call("up", "-f", path, "--timeout", "1ns").refused(t, failed, "--timeout 1ns")
	h.madeNothing()
}

func TestBundleShow(t *testing.T) {
	h := newHost(t)
	call(t, "bundle", "show").hinted(t, failed, "bundle", "meshfed bundle build")
	call(t, "bundle", "show", "--dir", h.dir).hinted(t, failed, h.dir, "meshfed bundle build")
	asJSON(t, failed, "bundle", "show", "-o", "json")
	h.bundle()
	r := call(t, "bundle", "show")
	for _, text := range []string{"Kubernetes v1.36.3, Istio 1.31.0, 1 Debian packages", "substitution: upstream Envoy 1.40.0"} {
		if r.code != 0 || r.err != "" || !strings.Contains(r.stdout, text) {
			t.Errorf("it does not say %q: %+v", text, r)
		}
	}
	var object struct {
		APIVersion, Kind, NodeImage string
		Substitutions               []string
	}
	r = call(t, "bundle", "show", "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &object); err != nil || object.Kind != "Bundle" || object.APIVersion == "" ||
		object.NodeImage == "" || !slices.Equal(object.Substitutions, []string{"upstream Envoy 1.40.0 in place of Istio's proxy"}) {
		t.Errorf("%v: %+v", err, r)
	}
	h.madeNothing()
}
