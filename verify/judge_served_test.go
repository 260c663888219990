// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

// served turns a healthy world into one in which the istiod of plane serves east, and west too
// when it is external.
func served(t *testing.T, w *World, pki testPKI, plane string) {
	t.Helper()
	remotes := []string{"east"}
	if plane != "west" {
		w.Topology.Spec.Clusters = append(w.Topology.Spec.Clusters, topology.Cluster{Name: plane, Primary: plane, Config: "west", Network: plane + "-network"})
		w.Signers[plane], pki.keys[plane] = testSigner(t, pki.root, plane+".intermediate")
		remotes = append(remotes, "west")
	}
	w.Controls[plane] = Control{Secrets: map[string]string{"east": "istio-remote-secret-east"},
		Replicas: []Istiod{{Pod: "istiod-1", Peers: map[string]string{"west": "synced", "east": "synced"}}}}
	w.Served = map[string]Served{}
	for _, c := range remotes {
		cluster := w.Topology.Cluster(c)
		cluster.Primary, cluster.Config = plane, "west"
		delete(w.Signers, c)
		if c != plane {
			delete(w.Controls, c)
		}
		w.Served[c] = Served{ControlPlanes: "west", Webhook: true, Bundle: []string{certs.Fingerprint(pki.root.Certificate)}, Address: "10.89.0.201", At: "10.89.0.201"}
		for _, from := range w.Clusters {
			p := topology.Pair{From: from, To: c}
			wire := w.Wire[p]
			wire.Chain = []*x509.Certificate{leaf(t, w.Signers[plane].Intermediate, pki.keys[plane], nil), w.Signers[plane].Intermediate, pki.root.Certificate}
			w.Wire[p] = wire
		}
	}
}

// TestServedMeshesPass: in both shapes everything passes that applies, and what does not is
// skipped with a reason.
func TestServedMeshesPass(t *testing.T) {
	t.Parallel()
	for _, plane := range []string{"west", "ext"} {
		w, pki := healthy(t)
		served(t, w, pki, plane)
		skipped := 0
		for _, c := range Checks() {
			for _, r := range c.run(w) {
				switch {
				case r.Status == Skip && c.ID == "trust-cacerts" && strings.Contains(r.Message, "the istiod of "+plane+" signs for"):
					skipped++
				case r.Status != Pass || r.Code != "":
					t.Errorf("%s: %s: %s", plane, r.Status, r.Line())
				}
			}
		}
		if want := len(w.Topology.Served(plane)); skipped != want {
			t.Errorf("%s: %d clusters without an authority are skipped, want %d", plane, skipped, want)
		}
		if r := find(t, w, "discovery-secret", plane, "east", ""); r.Status != Pass {
			t.Errorf("%s: %s", plane, r.Line())
		}
		if r := find(t, w, "trust-cacerts", "", plane, ""); r.Status != Pass {
			t.Errorf("%s: %s", plane, r.Line())
		}
	}
}

func TestServedJudgements(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		alter func(*Served)
		want  Status
		code  string
		words string
	}{
		"well":               {func(*Served) {}, Pass, "", "is served by the istiod of west at 10.89.0.201"},
		"of anybody":         {func(s *Served) { s.ControlPlanes = "*" }, Pass, "", ""},
		"of several":         {func(s *Served) { s.ControlPlanes = "north,west" }, Pass, "", ""},
		"unreadable":         {func(s *Served) { s.Problem = "forbidden" }, Inconclusive, "", "forbidden"},
		"no annotation":      {func(s *Served) { s.ControlPlanes = "" }, Fail, "INS007", `is "" and does not name west`},
		"another istiod":     {func(s *Served) { s.ControlPlanes = "north" }, Fail, "INS007", "north"},
		"leads nowhere":      {func(s *Served) { s.Address = "" }, Fail, "INS006", "leads nowhere"},
		"gateway has moved":  {func(s *Served) { s.At = "10.89.0.209" }, Fail, "INS006", "leads to 10.89.0.201, the istiod of west is at 10.89.0.209"},
		"gateway is gone":    {func(s *Served) { s.At = "" }, Fail, "INS006", "has no address"},
		"nothing passes":     {func(s *Served) { s.Untold = "no VirtualService has a route for port 15012" }, Fail, "INS006", "does not pass istiod on"},
		"no webhook":         {func(s *Served) { s.Webhook = false }, Fail, "INS005", "is missing"},
		"empty caBundle":     {func(s *Served) { s.Bundle = nil }, Fail, "INS005", "empty caBundle"},
		"a root from before": {func(s *Served) { s.Bundle = []string{"SHA256:00"} }, Fail, "INS005", "SHA256:00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, pki := healthy(t)
			served(t, w, pki, "west")
			s := w.Served["east"]
			row.alter(&s)
			w.Served["east"] = s
			if r := find(t, w, "discovery-served", "", "east", ""); r.Status != row.want || r.Code != row.code || !strings.Contains(r.Message, row.words) {
				t.Errorf("%s", r.Line())
			}
		})
	}
}

// TestARemoteThatIsNotReadIsTheObstacle: an istiod that does not read a remote cluster serves it
// nothing, so that requests from there fail for that reason.
func TestARemoteThatIsNotReadIsTheObstacle(t *testing.T) {
	t.Parallel()
	w, pki := healthy(t)
	served(t, w, pki, "west")
	w.Controls["west"] = Control{Secrets: map[string]string{}, Replicas: []Istiod{{Pod: "istiod-1", Peers: map[string]string{"west": "synced"}}}}
	w.Loads[LoadKey{"east", "echo"}] = Load{Sent: 40, Answers: map[string]int{"east": 40}}
	if r := find(t, w, "discovery-answers", "east", "west", ""); r.Status != Fail || r.Code != "FED001" {
		t.Errorf("%s", r.Line())
	}
}

// TestVerifyNeedsTheConfigCluster: the rules of the proof must be where istiod reads them, and an
// external control plane is no member.
func TestVerifyNeedsTheConfigCluster(t *testing.T) {
	t.Parallel()
	w, pki := healthy(t)
	served(t, w, pki, "ext")
	if _, err := chosenClusters(w.Topology, []string{"east"}); err == nil || !strings.Contains(err.Error(), "east can not be verified without west") {
		t.Errorf("east alone: %v", err)
	}
	got, err := chosenClusters(w.Topology, nil)
	if err != nil || strings.Join(got, " ") != "west east" {
		t.Errorf("%v, %v", got, err)
	}
}
