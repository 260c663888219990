// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

// started is what an engine says of the control planes of lab-east and lab-west, both of which
// were started at some time.
func started(at time.Time, westPort int) (both, west string) {
	one := func(name string, port int) string {
		text := strings.Replace(inspect(name, "running", "meshfed-lab", port), `"Status":`, fmt.Sprintf(`"StartedAt": %q, "Status":`, at.Format(time.RFC3339Nano)), 1)
		return strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	}
	return "[" + one("lab-east", 1) + "," + one("lab-west", westPort) + "]", "[" + one("lab-west", westPort) + "]"
}

// After its engine was killed a node may be shadowed by what is left of its predecessor: it must
// not be called ready, and is mended in place.
func TestANodeThatSomethingElseAnswersFor(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	const fromEast, fromWest, announce = "exec lab-east-control-plane bash -c timeout", "exec lab-west-control-plane bash -c timeout", "exec lab-west-control-plane bash -c set --"
	for name, test := range map[string]struct {
		at         time.Time
		east, west []string
		want       cluster.State
		announced  int
	}{
		"shadowed":         {time.Now(), []string{no, no, no, yes}, []string{yes}, cluster.Impaired, 1},
		"reached":          {time.Now(), []string{yes}, []string{yes}, cluster.Ready, 0},
		"not listening":    {time.Now(), []string{no}, []string{no}, cluster.Ready, 0},
		"nobody can look":  {time.Now(), []string{""}, []string{yes}, cluster.Ready, 0},
		"runs for a while": {time.Now().Add(-time.Hour), []string{no}, []string{yes}, cluster.Ready, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both, west1 := started(test.at, port)
			answers := []clustertest.Answer{{To: "ps --all --no-trunc --quiet --filter label=", Out: "e w"}, {To: "ps", Out: "w"},
				{To: "container inspect e w", Out: both}, {To: "container inspect w", Out: west1},
				recorded(t, west(), admin), {To: "exec lab-west-control-plane cat " + adminConf, Out: admin}}
			for prefix, list := range map[string][]string{fromEast: test.east, fromWest: test.west} {
				for i, out := range list {
					answers = append(answers, clustertest.Answer{To: prefix, Out: out, Once: i < len(list)-1})
				}
			}
			p, e, seen := fakeProvider(t, "fail", answers...)
			got, err := p.Look(t.Context(), west())
			if err != nil || got.State != test.want {
				t.Fatalf("%s (%s), %v", got.State, got.Reason, err)
			}
			if test.want == cluster.Impaired && got.Reason != "lab-east-control-plane does not reach lab-west-control-plane at 10.90.0.2, where something else answers" {
				t.Errorf("reason %q", got.Reason)
			}
			if err := p.Ensure(t.Context(), west()); err != nil {
				t.Fatal(err)
			}
			if calls := e.Calls(announce); len(calls) != test.announced {
				t.Errorf("announced %d times; %q", len(calls), seen.all())
			}
			for _, verb := range []string{"rm", "start", "stop"} {
				if calls := e.Calls(verb); len(calls) > 0 {
					t.Errorf("not mended in place: %q", calls)
				}
			}
		})
	}
}

// While the API does not answer, its node says where it is: the answers may come from elsewhere.
func TestANodeAnnouncesItselfWhileItsAPIDoesNotAnswer(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	p, e, _ := fakeProvider(t, "fail", append(exists("exited", "meshfed-lab", port), copied(t, record{Spec: west()}),
		clustertest.Answer{To: "exec lab-west-control-plane cat " + adminConf, Fails: "connection refused", Once: true},
		clustertest.Answer{To: "exec lab-west-control-plane cat " + adminConf, Out: admin})...)
	if err := p.Ensure(t.Context(), west()); err != nil {
		t.Fatal(err)
	}
	if calls := e.Calls("exec lab-west-control-plane bash -c set --"); len(calls) != 1 {
		t.Errorf("announced %d times", len(calls))
	}
}
