// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// outsider is a client in front of a healthy mesh; alter may change or count what it gets.
func outsider(name string, alter func(cluster, host, path string, a OutsideAnswer) (OutsideAnswer, error)) Outside {
	return Outside{Name: name, URL: map[string]string{"west": "http://west.example", "east": "http://east.example/"},
		Get: func(_ context.Context, target, host string) (OutsideAnswer, error) {
			u, err := url.Parse(target)
			if err != nil {
				return OutsideAnswer{}, err
			}
			gateway := strings.TrimSuffix(u.Hostname(), ".example")
			cluster := strings.TrimPrefix(strings.Split(host, ".")[0], "echo-")
			switch u.Hostname() {
			case podAddress("west", roleEcho):
				gateway, cluster = "", "west"
			case podAddress("east", roleEcho):
				gateway, cluster = "", "east"
			}
			body, err := json.Marshal(probe.Answer{Pod: "echo", UID: cluster + "-echo"})
			a := OutsideAnswer{Status: 200, Headers: map[string]string{"server": "istio-envoy"}, Body: body}
			switch {
			case err != nil:
				return a, err
			case u.Port() == "8080":
				return OutsideAnswer{}, fmt.Errorf("read: %w", syscall.ECONNRESET)
			case u.Path == pathPrivate:
				a.Status, a.Body = 403, []byte("RBAC: access denied")
			}
			if alter != nil {
				return alter(gateway, host, u.Path, a)
			}
			return a, nil
		}}
}

// entered runs the suite authorization over a healthy mesh with one client.
func entered(t *testing.T, o ...Outside) map[[4]string]Result {
	t.Helper()
	f := newFakeMesh(t)
	f.mesh.Outside = o
	r, err := Run(t.Context(), f.mesh, Options{Suites: []string{SuiteAuthorization}})
	if err != nil {
		t.Fatal(err)
	}
	all := map[[4]string]Result{}
	for _, c := range r.Checks {
		if strings.HasPrefix(c.ID, "authorization-outside-") {
			all[c.key()] = c
		}
	}
	return all
}

func TestAnOutsiderWaitsForTheGatewayAndSendsLittle(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent, hosts := map[string]int{}, map[string]bool{}
	lost := false
	late := outsider(OutsideHost, func(gateway, host, path string, a OutsideAnswer) (OutsideAnswer, error) {
		mu.Lock()
		defer mu.Unlock()
		sent[gateway]++
		hosts[host] = true
		if gateway == "east" && path == pathPrivate && !lost {
			lost = true // neither let in nor denied
			return OutsideAnswer{}, context.DeadlineExceeded
		}
		if gateway == "west" && sent[gateway] == 1 {
			return OutsideAnswer{Status: 404, Headers: a.Headers}, nil // not programmed yet
		}
		return a, nil
	})
	for key, r := range entered(t, late) {
		if r.Status != Pass {
			t.Errorf("%v: %s", key, r.Line())
		}
	}
	if sent["west"] != 4 || sent["east"] != 4 {
		t.Errorf("requests through the gateways: %v", sent)
	}
	for h := range hosts {
		if h != "" && (!strings.HasSuffix(h, ".meshfed-verify.test") || len(strings.Split(h, ".")[1]) < 16) {
			t.Errorf("host name %q can be guessed", h)
		}
	}
	if newZone() == newZone() {
		t.Error("two runs have one domain")
	}
}

func TestABrokenIngressFailsWithinBounds(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent := 0
	got := entered(t, outsider(OutsideHost, func(gateway, _, _ string, a OutsideAnswer) (OutsideAnswer, error) {
		if gateway != "west" {
			return a, nil
		}
		mu.Lock()
		defer mu.Unlock()
		sent++
		return OutsideAnswer{}, fmt.Errorf("connect: %w", syscall.ECONNREFUSED)
	}))
	r := got[[4]string{"authorization-outside-answers", "", "west", OutsideHost}]
	see, _ := r.Evidence["see"].(string)
	if r.Status != Fail || r.Code != "NET010" || !strings.Contains(r.Message, "connection refused") || !strings.HasPrefix(see, "curl -i -H 'Host: echo-west.") || !strings.HasSuffix(see, "http://west.example/ingress") {
		t.Errorf("%s; %s", r.Line(), see)
	}
	for _, key := range [][4]string{{"authorization-outside-denied", "", "west", OutsideHost}, {"authorization-outside-peer", "west", "east", OutsideHost}} {
		if got[key].Status != Inconclusive {
			t.Errorf("%s: %s", got[key].Status, got[key].Line())
		}
	}
	if r := got[[4]string{"authorization-outside-answers", "", "east", OutsideHost}]; r.Status != Pass {
		t.Errorf("east: %s", r.Line())
	}
	if sent > outsideRequests {
		t.Errorf("%d requests", sent)
	}
}

func TestManyPeersDoNotMeanManyRequests(t *testing.T) {
	t.Parallel()
	top := testTopology()
	for i := range 20 {
		top.Spec.Clusters = append(top.Spec.Clusters, topology.Cluster{Name: fmt.Sprintf("c%d", i), Network: "n"})
	}
	s := newSession(Mesh{Topology: top}, Options{}, top.Names(), []string{SuiteAuthorization}, time.Now())
	for name, m := range s.members {
		m.problem, m.uids[name+"-echo"] = "", true
	}
	sent, asked, skipped := 0, 0, 0
	o := outsider(OutsideHost, func(_, _, _ string, a OutsideAnswer) (OutsideAnswer, error) {
		sent++
		return a, nil
	})
	s.enter(t.Context(), o, "west", func(_ OutsideKey, c Call) {
		if c.Skipped != "" {
			skipped++
		} else if len(c.Outcomes) > 0 {
			asked++
		}
	})
	if sent != outsideRequests || asked != sent || asked+skipped != 2+21 {
		t.Errorf("%d requests, %d calls, %d skipped", sent, asked, skipped)
	}
}

func TestAnOutsiderThatCanNotBeUsedIsNoFault(t *testing.T) {
	t.Parallel()
	engine := outsider(OutsideContainer, func(string, string, string, OutsideAnswer) (OutsideAnswer, error) {
		return OutsideAnswer{}, fmt.Errorf("%w: no space left on device", ErrNotSent)
	})
	engine.URL = map[string]string{"east": "http://east.example"}
	for name, tc := range map[string]struct {
		clients []Outside
		cluster string
		variant string
		want    Status
		words   string
	}{
		"none":            {nil, "west", "", Skip, "no client outside"},
		"named as absent": {[]Outside{{Name: OutsideContainer, Unusable: "the engine has no probe image"}}, "west", OutsideContainer, Skip, "the engine has no probe image"},
		"without a way":   {[]Outside{engine}, "west", OutsideContainer, Skip, "no way to the ingress gateway of west"},
		"does not start":  {[]Outside{engine}, "east", OutsideContainer, Inconclusive, "no space left on device"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := entered(t, tc.clients...)[[4]string{"authorization-outside-answers", "", tc.cluster, tc.variant}]
			if r.Status != tc.want || !strings.Contains(r.Message, tc.words) {
				t.Errorf("%s: %s", r.Status, r.Line())
			}
		})
	}
}

func TestAMeshWithoutIngressIsNotInconclusive(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	for i := range f.mesh.Topology.Spec.Clusters {
		f.mesh.Topology.Spec.Clusters[i].Ingress = nil
	}
	r, err := Run(t.Context(), f.mesh, Options{Suites: []string{SuiteAuthorization}})
	if err != nil || r.ExitCode() != ExitPass || r.Summary[Skip] == 0 {
		t.Errorf("exit code %d, %v, %v", r.ExitCode(), r.Summary, err)
	}
}

func TestTheHostSpeaksAsItIsTold(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "istio-envoy")
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", 2*outsideBody))
		case "/half":
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "hal")
		default:
			http.Error(w, "RBAC: "+r.Host, http.StatusForbidden)
		}
	}))
	defer server.Close()
	client := FromHost(nil)
	for path, want := range map[string]struct {
		status, length int
		begins         string
	}{
		"/private": {403, 23, "RBAC: echo-west.x.test\n"}, "/moved": {302, 33, `<a href="/elsewhere">`}, "/long": {200, outsideBody, "xxx"},
	} {
		a, err := client.Get(t.Context(), server.URL+path, "echo-west.x.test")
		if err != nil || a.Status != want.status || !strings.HasPrefix(string(a.Body), want.begins) || len(a.Body) != want.length || !a.byEnvoy() {
			t.Errorf("%s: status %d, %d bytes, %v", path, a.Status, len(a.Body), err)
		}
	}
	_, err := client.Get(t.Context(), server.URL+"/half", "")
	if got := (OutsideAnswer{}).outcome(err); got.Error != probe.ErrOther || denied(got) {
		t.Errorf("half an answer is no denial: %+v", got)
	}
	_, err = client.Get(t.Context(), "http://127.0.0.1:1/", "")
	if got := (OutsideAnswer{}).outcome(err); got.Error != probe.ErrRefused || errors.Is(err, ErrNotSent) {
		t.Errorf("nobody listens: %+v", got)
	}
	if _, err := client.Get(t.Context(), "http://a b/", ""); !errors.Is(err, ErrNotSent) {
		t.Errorf("no URL: %v", err)
	}
}
