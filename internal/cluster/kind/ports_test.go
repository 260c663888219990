// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

// anyFrom is a spec with one port that may be any one of the host's.
func anyFrom(host int) cluster.Spec {
	s := west()
	s.Ports = []cluster.Port{{Host: host, Node: 30080, Any: true}}
	return s
}

func TestChoosePorts(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	begin := taken.Addr().(*net.TCPAddr).Port
	p, _, _ := fakeProvider(t, "ok", nothing()...)
	var seen []int
	for range 2 {
		s := anyFrom(begin)
		chosen, release, err := p.choosePorts(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if s.Ports[0].Host != begin {
			t.Error("the caller's spec was changed")
		}
		seen = append(seen, chosen.Ports[0].Host)
	}
	if seen[0] <= begin || seen[1] <= seen[0] {
		t.Errorf("from %d on: %d", begin, seen)
	}
	fixed := anyFrom(begin)
	fixed.Ports[0].Any = false
	if chosen, _, err := p.choosePorts(t.Context(), fixed); err != nil || chosen.Ports[0].Host != begin {
		t.Errorf("a port that was asked for: %v, %v", chosen.Ports, err)
	}
}

func TestChosenPortsLeaveOutThoseOfStoppedClusters(t *testing.T) {
	t.Parallel()
	bindings := func(text string) clustertest.Answer {
		return clustertest.Answer{To: "container inspect --format", Out: text}
	}
	for name, answers := range map[string][]clustertest.Answer{
		"podman": append([]clustertest.Answer{bindings("null")}, exists("exited", "meshfed-lab", 38417)...),
		// It names the ports of what runs only.
		"docker": append([]clustertest.Answer{bindings("null\n" + `{"30080/tcp":[{"HostIp":"127.0.0.1","HostPort":"38417"}]}`)}, exists("exited", "meshfed-lab", 0)...),
	} {
		p, _, _ := fakeProvider(t, "ok", answers...)
		chosen, release, err := p.choosePorts(t.Context(), anyFrom(38417))
		if err != nil {
			t.Fatal(err)
		}
		release()
		if chosen.Ports[0].Host == 38417 || len(p.taken) != 0 {
			t.Errorf("%s: chosen %d, still held %v", name, chosen.Ports[0].Host, p.taken)
		}
	}
}

func TestNoFreePort(t *testing.T) {
	t.Parallel()
	p, _, _ := fakeProvider(t, "ok", nothing()...)
	if _, _, err := p.choosePorts(t.Context(), anyFrom(65536)); err == nil || !strings.Contains(err.Error(), "from 65536 on is free") || len(p.taken) != 0 {
		t.Errorf("%v, held %v", err, p.taken)
	}
}

// Between finding a port free and listening on it, someone else may come.
func TestEnsureTriesOtherPorts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec cluster.Spec
		want int
	}{"any": {anyFrom(31000), portAttempts}, "fixed": {west(), 1}} {
		p, _, seen := fakeProvider(t, "port", nothing()...)
		err := p.Ensure(t.Context(), test.spec)
		if err == nil || !strings.Contains(err.Error(), "port is already allocated") {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Count(strings.Join(seen.all(), "\n"), "preparing nodes"); got != test.want {
			t.Errorf("%s: made %d times", name, got)
		}
	}
}

func TestTheChosenPortIsRecordedAndMakesNoDifference(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", nothing()...)
	if err := p.Ensure(t.Context(), anyFrom(31000)); err != nil {
		t.Fatal(err)
	}
	if written := strings.Join(e.Stdin(), ""); !strings.Contains(written, `"node":30080,"any":true`) {
		t.Errorf("recorded: %s", written)
	}
	for name, test := range map[string]struct {
		made, want cluster.Spec
		differ     string
	}{
		"another was chosen":      {anyFrom(31007), anyFrom(31000), ""},
		"asked for, now any":      {west(), anyFrom(31000), ""},
		"chosen, now asked for":   {anyFrom(30000), west(), ""},
		"chosen, other asked for": {anyFrom(31007), west(), "ports: [31007:30080] -> [30000:30080]"},
		"none yet":                {cluster.Spec{}, cluster.Spec{Ports: []cluster.Port{{Host: 7, Node: 30080, Any: true}}}, "ports: [] -> [7:30080]"},
	} {
		got := fmt.Sprint(compare(test.made, test.want))
		if test.differ == "" && got != "[]" || !strings.Contains(got, test.differ) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	port, _ := apiServer(t, http.StatusOK)
	out := strings.Replace(inspect("lab-west", "running", "meshfed-lab", port), `"Ports": {`, `"Ports": {"30080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "31007"}], `, 1)
	p, _, _ := fakeProvider(t, "ok", clustertest.Answer{To: "ps", Out: "id"}, clustertest.Answer{To: "container inspect", Out: out})
	got, err := p.Ports(t.Context(), "lab-west")
	if diff := cmp.Diff(map[int]int{30080: 31007}, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
}
