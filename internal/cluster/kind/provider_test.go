// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"errors"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/diag"
)

func TestLook(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	sick, sickAdmin := apiServer(t, http.StatusInternalServerError)
	changed := west()
	changed.PodSubnet, changed.Ports = "10.99.0.0/16", nil
	script := "exec lab-west-control-plane sh -c"
	noRecord := clustertest.Answer{To: "cp", Fails: "Error: could not find the file /kind/meshfed.json in container"}
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		want    cluster.State
		reason  string
	}{
		"absent":    {nothing(), cluster.Absent, "it does not exist"},
		"volumes":   {append([]clustertest.Answer{{To: "volume ls", Out: fixture(t, "volumes.json")}}, nothing()...), cluster.HalfMade, "only volumes"},
		"ready":     {append(exists("running", "meshfed-lab", port), recorded(t, west(), admin)), cluster.Ready, ""},
		"no record": {append(exists("running", "meshfed-lab", port), clustertest.Answer{To: script}), cluster.HalfMade, "making it was interrupted"},
		"dead":      {append(exists("running", "meshfed-lab", 1), clustertest.Answer{To: script, Fails: "cannot exec in a stopped container"}), cluster.HalfMade, "is dead"},
		"stopping":  {exists("stopping", "meshfed-lab", port), cluster.HalfMade, "container lab-west-control-plane is stopping"},
		"never ran": {append(exists("created", "meshfed-lab", 0), noRecord), cluster.HalfMade, "is created"},
		"removing":  {exists("removing", "meshfed-lab", port), cluster.HalfMade, "is removing"},
		"stopped":   {append(exists("exited", "meshfed-lab", port), copied(t, record{Spec: west()})), cluster.Stopped, "is exited"},
		// podman says so of all containers after the host was started again.
		"host restarted":    {append(exists("created", "meshfed-lab", port), copied(t, record{Spec: west()})), cluster.Stopped, "is created"},
		"restarting":        {append(exists("restarting", "meshfed-lab", port), copied(t, record{Spec: west()})), cluster.Stopped, "is restarting"},
		"stopped and other": {append(exists("exited", "meshfed-lab", port), copied(t, record{Spec: changed})), cluster.Different, "podSubnet"},
		"paused":            {exists("paused", "meshfed-lab", port), cluster.Paused, "container lab-west-control-plane is paused"},
		"interrupted":       {append(exists("exited", "meshfed-lab", port), noRecord), cluster.HalfMade, "interrupted"},
		"other spec":        {append(exists("running", "meshfed-lab", port), recorded(t, changed, admin)), cluster.Different, "podSubnet: 10.99.0.0/16 -> 10.10.0.0/16, ports: [] -> [30000:30080]"},
		"sick":              {append(exists("running", "meshfed-lab", sick), recorded(t, west(), sickAdmin)), cluster.Stopped, "/readyz says 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, e, _ := fakeProvider(t, "ok", test.answers...)
			got, err := p.Look(t.Context(), west())
			if err != nil || got.State != test.want || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("%s %q, %v", got.State, got.Reason, err)
			}
			for _, verb := range []string{"rm", "start", "unpause", "run", "volume rm"} {
				if calls := e.Calls(verb); len(calls) > 0 {
					t.Errorf("looking changed something: %q", calls)
				}
			}
		})
	}
}

// An engine that can start nothing in a container is no reason to remove a cluster whose API
// still listens.
func TestALivingClusterIsNotTakenForDead(t *testing.T) {
	t.Parallel()
	port, _ := apiServer(t, http.StatusOK)
	p, e, _ := fakeProvider(t, "ok", append(exists("running", "meshfed-lab", port),
		clustertest.Answer{To: "exec lab-west-control-plane sh -c", Fails: "fork/exec: resource temporarily unavailable"})...)
	if err := p.Ensure(t.Context(), west()); err == nil || !strings.Contains(err.Error(), "temporarily unavailable") {
		t.Errorf("%v", err)
	}
	if calls := e.Calls("rm"); len(calls) > 0 {
		t.Errorf("removed: %q", calls)
	}
}

func TestClusterOfSomeoneElseIsNeverTouched(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", exists("running", "kind", 1)...)
	errs := map[string]error{"ensure": p.Ensure(t.Context(), west()), "delete": p.Delete(t.Context(), "lab-west")}
	_, errs["look"] = p.Look(t.Context(), west())
	_, errs["kubeconfig"] = p.Kubeconfig(t.Context(), "lab-west", cluster.FromHost)
	for what, err := range errs {
		if !errors.Is(err, cluster.ErrForeign) || !strings.Contains(err.Error(), "not on container network meshfed-lab") {
			t.Errorf("%s: %v", what, err)
		}
		if len(diag.Hints(err)) == 0 || diag.Cluster(err) != "lab-west" {
			t.Errorf("%s: hints %q, cluster %q", what, diag.Hints(err), diag.Cluster(err))
		}
	}
	for _, verb := range []string{"rm", "start", "exec", "volume"} {
		if calls := e.Calls(verb); len(calls) > 0 {
			t.Errorf("touched: %q", calls)
		}
	}
}

func TestEnsureMakesACluster(t *testing.T) {
	t.Parallel()
	p, e, seen := fakeProvider(t, "ok", nothing()...)
	if err := p.Ensure(t.Context(), west()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"preparing nodes", nodesRun, "starting control-plane"}, seen.all()); diff != "" {
		t.Errorf("states: %s", diff)
	}
	written := strings.Join(e.Stdin(), "\n")
	for _, want := range []string{`"subnet": "10.10.0.0/24"`, `"meshfed.io/topology":"lab"`, `"meshfed.io/owner":"o1"`} {
		if !strings.Contains(written, want) {
			t.Errorf("%s was not written into the node: %s", want, written)
		}
	}
}

func TestEnsureWithoutANodeImage(t *testing.T) {
	t.Parallel()
	p, _, seen := fakeProvider(t, "ok", append(nothing(), clustertest.Answer{To: "image inspect", Fails: "Error: localhost/node:v1.36.3: image not known"})...)
	err := p.Ensure(t.Context(), west())
	if err == nil || !strings.Contains(err.Error(), "podman does not have the node image localhost/node:v1.36.3") || len(diag.Hints(err)) == 0 {
		t.Errorf("%v, hints %q", err, diag.Hints(err))
	}
	if got := seen.all(); len(got) != 0 {
		t.Errorf("kind was started: %q", got)
	}
}

func TestEnsureMakesAHalfMadeClusterAgain(t *testing.T) {
	t.Parallel()
	p, e, seen := fakeProvider(t, "ok", append(exists("stopping", "meshfed-lab", 1), clustertest.Answer{To: "rm", Fails: "improper state", Once: true})...)
	if err := p.Ensure(t.Context(), west()); err != nil {
		t.Fatal(err)
	}
	if got := seen.all()[0]; got != "removing what is there: container lab-west-control-plane is stopping" {
		t.Errorf("states: %q", seen.all())
	}
	if calls := e.Calls("rm --force --volumes --time 0 lab-west-control-plane"); len(calls) != 2 {
		t.Errorf("calls: %q", calls)
	}
}

func TestEnsureStartsAStoppedCluster(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	was := record{Spec: west(), Nodes: map[string]nodeRecord{"lab-west-control-plane": {Address: netip.MustParseAddr("10.90.0.9")}}}
	p, e, seen := fakeProvider(t, "fail", append(exists("exited", "meshfed-lab", port), copied(t, was),
		clustertest.Answer{To: "exec lab-west-control-plane cat " + adminConf, Out: admin})...)
	// Whoever only starts a cluster need not know what it was made from.
	unknown := west()
	unknown.Image, unknown.BridgeCNI = "", false
	if err := p.Ensure(t.Context(), unknown); err != nil {
		t.Fatal(err)
	}
	if got := seen.all(); !slices.Contains(got, "node lab-west-control-plane has 10.90.0.2, had 10.90.0.9") {
		t.Errorf("states: %q", got)
	}
	if got := strings.Join(e.Stdin(), ""); !strings.Contains(got, `"address":"10.90.0.2"`) || !strings.Contains(got, `"image":"localhost/node:v1.36.3"`) {
		t.Errorf("recorded: %s", got)
	}
	if got := e.Calls("start lab-west-control-plane"); len(got) != 1 {
		t.Errorf("started %d times", len(got))
	}
	if got := e.Calls("rm"); len(got) != 0 {
		t.Errorf("removed: %q", got)
	}
}

// A whole cluster is not made anew because the engine could not copy a file just now.
func TestEngineInTroubleIsNotTakenForAHalfMadeCluster(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", append(exists("exited", "meshfed-lab", 1), clustertest.Answer{To: "cp", Fails: "database is locked"})...)
	if err := p.Ensure(t.Context(), west()); err == nil || !strings.Contains(err.Error(), "database is locked") {
		t.Errorf("%v", err)
	}
	if calls := e.Calls("rm"); len(calls) > 0 {
		t.Errorf("removed: %q", calls)
	}
}

func TestEnsureLetsAPausedClusterRunOn(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	frozen := clustertest.Answer{To: "container inspect", Out: inspect("lab-west", "paused", "meshfed-lab", port), Once: true}
	p, e, _ := fakeProvider(t, "fail", append([]clustertest.Answer{frozen}, append(exists("running", "meshfed-lab", port), recorded(t, west(), admin))...)...)
	if err := p.Ensure(t.Context(), west()); err != nil {
		t.Fatal(err)
	}
	if got := e.Calls("unpause lab-west-control-plane"); len(got) != 1 || len(e.Calls("start")) != 0 {
		t.Errorf("calls: %q", e.Calls(""))
	}
}

func TestEnsureLeavesAReadyClusterAlone(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	p, e, seen := fakeProvider(t, "fail", append(exists("running", "meshfed-lab", port), recorded(t, west(), admin))...)
	if err := p.Ensure(t.Context(), west()); err != nil {
		t.Fatal(err)
	}
	if len(seen.all()) != 0 || len(e.Stdin()) != 0 {
		t.Errorf("states %q, written %q", seen.all(), e.Stdin())
	}
}

func TestEnsureRefusesToChangeACluster(t *testing.T) {
	t.Parallel()
	changed := west()
	changed.ServiceSubnet = "10.101.0.0/24"
	p, e, _ := fakeProvider(t, "ok", append(exists("running", "meshfed-lab", 1), recorded(t, changed, "x"))...)
	err := p.Ensure(t.Context(), west())
	if err == nil || !strings.Contains(err.Error(), "serviceSubnet: 10.101.0.0/24 -> 10.100.0.0/24") || len(diag.Hints(err)) == 0 {
		t.Errorf("%v, hints %q", err, diag.Hints(err))
	}
	if got := e.Calls("rm"); len(got) != 0 {
		t.Errorf("removed: %q", got)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	volumes := clustertest.Answer{To: "volume ls", Out: fixture(t, "volumes.json")}
	for name, test := range map[string]struct {
		answers    []clustertest.Answer
		containers int
	}{
		"whole":              {append([]clustertest.Answer{volumes}, exists("running", "meshfed-lab", 1)...), 1},
		"only volumes left":  {append([]clustertest.Answer{volumes}, nothing()...), 0},
		"dead and unwilling": {append([]clustertest.Answer{volumes, {To: "rm", Fails: "improper", Once: true}}, exists("running", "meshfed-lab", 1)...), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, e, _ := fakeProvider(t, "fail", test.answers...)
			if err := os.Mkdir(p.scratch("lab-west"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := p.Delete(t.Context(), "lab-west"); err != nil {
				t.Fatal(err)
			}
			if left, _ := os.ReadDir(p.Dir); len(left) != 0 {
				t.Errorf("files left: %v", left)
			}
			if got := e.Calls("rm "); len(got) != test.containers {
				t.Errorf("containers: %q", got)
			}
			if diff := cmp.Diff([]string{"volume rm mine", "volume rm worker"}, e.Calls("volume rm")); diff != "" {
				t.Errorf("volumes: %s", diff)
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		p, e, _ := fakeProvider(t, "fail", nothing()...)
		if err := p.Delete(t.Context(), "lab-west"); err != nil || len(e.Calls("volume rm")) != 0 {
			t.Errorf("%v, %q", err, e.Calls(""))
		}
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	network := func(owner string) clustertest.Answer {
		return clustertest.Answer{To: "network inspect", Out: `[{"name": "meshfed-lab", "labels": {"meshfed.io/topology": "lab", "meshfed.io/owner": "` + owner + `"}}]`}
	}
	p, e, _ := fakeProvider(t, "ok", append(exists("created", "meshfed-lab", 0), network("o1"))...)
	got, err := p.List(t.Context())
	if err != nil || len(got) != 1 || got[0] != "lab-west" {
		t.Errorf("%q, %v", got, err)
	}
	if calls := e.Calls("ps"); len(calls) != 1 || !strings.Contains(calls[0], "--filter network=meshfed-lab") {
		t.Errorf("calls: %q", calls)
	}
	p, _, _ = fakeProvider(t, "ok", clustertest.Answer{To: "network inspect", Fails: "network not found"})
	if got, err := p.List(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("without a network: %q, %v", got, err)
	}
	p, _, _ = fakeProvider(t, "ok", network("o2"))
	if _, err := p.List(t.Context()); !errors.Is(err, cluster.ErrForeign) {
		t.Errorf("another owner's network: %v", err)
	}
}
