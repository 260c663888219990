// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/probe"
)

func TestJudgeOutside(t *testing.T) {
	t.Parallel()
	through := OutsideKey{OutsideHost, "west", "west", CallIngress}
	peer := OutsideKey{OutsideHost, "west", "east", CallIngress}
	refused := OutsideKey{OutsideHost, "west", "west", CallDenied}
	open := OutsideKey{OutsideHost, "west", "west", CallPermissive}
	strict := OutsideKey{OutsideHost, "west", "west", CallStrict}
	ended := func(o probe.Outcome, clusters ...string) Call {
		return Call{Target: "http://127.0.0.1:8080/ingress", Host: "echo-west.x.test", Outcomes: []probe.Outcome{o}, Clusters: clusters}
	}
	set := func(key OutsideKey, c Call) func(*World) { return func(w *World) { w.Outside[key] = c } }
	status := func(s int, detail string) Call { return ended(probe.Outcome{Status: s, Detail: detail, Count: 1}) }
	foreign := status(403, "blocked")
	foreign.Foreign = "corporate-proxy"
	for name, tc := range map[string]struct {
		id      string
		breakIt func(*World)
		want    Status
		code    string
		words   string
	}{
		"answers":                         {"answers", func(*World) {}, Pass, "", "answered by west"},
		"nobody listens":                  {"answers", set(through, ended(probe.Outcome{Error: probe.ErrRefused, Count: 1})), Fail, "NET010", "does not reach"},
		"dropped":                         {"answers", set(through, ended(probe.Outcome{Error: probe.ErrTimeout, Count: 1})), Fail, "NET010", "timeout"},
		"not programmed":                  {"answers", set(through, status(404, "")), Fail, "NET010", "404"},
		"something else on the port":      {"answers", set(through, ended(probe.Outcome{Status: 200, Detail: "<html>", Count: 1}, "")), Fail, "NET010", "no probe of west"},
		"the wrong cluster":               {"answers", set(through, ended(answer("east", 200, 1), "east")), Fail, "NET010", "no probe of west"},
		"denied by policy":                {"answers", set(through, status(403, "RBAC: access denied")), Fail, "AUZ001", "denied"},
		"denied on the way":               {"answers", set(through, foreign), Fail, "NET010", "corporate-proxy"},
		"engine out of order":             {"answers", set(through, Call{Problem: "no space left"}), Inconclusive, "", "no space left"},
		"no probe":                        {"answers", func(w *World) { w.Probes["west"] = Probes{Problem: "quota"} }, Inconclusive, "", "quota"},
		"no client":                       {"answers", func(w *World) { w.OutsideClients = nil }, Skip, "", "no client"},
		"no ingress":                      {"answers", func(w *World) { w.Topology.Spec.Clusters[0].Ingress = nil }, Skip, "", "no ingress gateway"},
		"peer answers":                    {"peer", func(*World) {}, Pass, "", "through the ingress gateway of west"},
		"peer does not":                   {"peer", set(peer, status(503, "no healthy upstream")), Fail, "NET008", "not by east"},
		"peer denies":                     {"peer", set(peer, status(403, "RBAC: access denied")), Fail, "AUZ001", "denied by east"},
		"peer is unknown":                 {"peer", func(w *World) { set(peer, status(503, ""))(w); w.Controls["west"] = Control{} }, Fail, "FED001", "no remote secret"},
		"peer without a route":            {"peer", func(w *World) { set(peer, status(503, ""))(w); w.Topology.Spec.Clusters[1].Network = "west-network" }, Fail, "NET013", "not by east"},
		"neither answers":                 {"peer", func(w *World) { set(peer, status(404, ""))(w); set(through, status(404, ""))(w) }, Inconclusive, "", "not by west itself either"},
		"too many peers":                  {"peer", set(peer, Call{Skipped: "at most 8 requests"}), Skip, "", "at most 8"},
		"denied":                          {"denied", func(*World) {}, Pass, "", "kept out"},
		"let in":                          {"denied", set(refused, ended(answer("west", 200, 1), "west")), Fail, "AUZ002", "let into"},
		"denied by nobody known":          {"denied", set(refused, foreign), Inconclusive, "", "corporate-proxy"},
		"an error is no denial":           {"denied", set(refused, status(503, "upstream connect error")), Inconclusive, "", "no denial"},
		"a lost denial":                   {"denied", set(refused, ended(probe.Outcome{Error: probe.ErrReset, Count: 1})), Inconclusive, "", "no denial"},
		"denied without a twin":           {"denied", set(through, status(403, "RBAC")), Inconclusive, "", "not where it is allowed either"},
		"direct":                          {"direct", func(*World) {}, Pass, "", "refused"},
		"direct is let in":                {"direct", set(strict, ended(answer("west", 200, 1), "west")), Fail, "AUZ002", "under STRICT"},
		"direct is lost":                  {"direct", set(strict, ended(probe.Outcome{Error: probe.ErrTimeout, Count: 1})), Inconclusive, "", "no denial"},
		"direct is closed":                {"direct", set(strict, ended(probe.Outcome{Error: probe.ErrClosed, Count: 1})), Pass, "", "refused: 1 x closed"},
		"nobody listens there":            {"direct", set(strict, ended(probe.Outcome{Error: probe.ErrRefused, Count: 1})), Inconclusive, "", "no denial"},
		"direct is out of reach":          {"direct", set(open, ended(probe.Outcome{Error: probe.ErrTimeout, Count: 1})), Skip, "", "does not reach"},
		"another machine has the address": {"direct", set(open, ended(probe.Outcome{Status: 200, Detail: "router", Count: 1}, "")), Skip, "", "does not reach"},
		"direct could not be sent":        {"direct", set(strict, Call{Problem: "no space left"}), Inconclusive, "", "no space left"},
	} {
		w, _ := healthy(t)
		tc.breakIt(w)
		var got []Result
		for _, c := range Checks() {
			if c.ID == "authorization-outside-"+tc.id {
				got = c.run(w)
			}
		}
		r := got[0] // west, and the host where there is a client
		if r.Status != tc.want || r.Code != tc.code || !strings.Contains(r.Message, tc.words) {
			t.Errorf("%s: %s %s", name, r.Status, r.Line())
		}
		if see, _ := r.Evidence["see"].(string); r.Status == Fail && !strings.HasPrefix(see, "curl -i -H 'Host: echo-west.x.test' http://127.0.0.1:8080/ingress") {
			t.Errorf("%s: see %q", name, see)
		}
	}
}
