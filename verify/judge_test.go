// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"testing"
)

// key is what is unique.
func (r Result) key() [4]string { return [4]string{r.ID, r.From, r.To, r.Variant} }

// find runs one check and returns its result for a pair and variant.
func find(t *testing.T, w *World, id, from, to, variant string) Result {
	t.Helper()
	checks := Checks()
	i := slices.IndexFunc(checks, func(c Check) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("no check %q", id)
	}
	results := checks[i].run(w)
	for _, r := range results {
		if r.key() == [4]string{id, from, to, variant} {
			if r.Code != "" && !slices.Contains(checks[i].Codes, r.Code) {
				t.Errorf("%s gives the code %s, which it does not list", id, r.Code)
			}
			return r
		}
	}
	t.Fatalf("%s says nothing about %q -> %q (%s): %+v", id, from, to, variant, results)
	return Result{}
}

// judgement is one row: a healthy world with one thing changed, and what a check says.
type judgement struct {
	name              string
	alter             func(w *World, pki testPKI)
	id                string
	from, to, variant string
	want              Status
	code              string
}

func check(t *testing.T, rows []judgement) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.id+": "+row.name, func(t *testing.T) {
			t.Parallel()
			w, pki := healthy(t)
			if row.alter != nil {
				row.alter(w, pki)
			}
			got := find(t, w, row.id, row.from, row.to, row.variant)
			if got.Status != row.want || got.Code != row.code {
				t.Errorf("got %s %q (%s), want %s %q", got.Status, got.Code, got.Message, row.want, row.code)
			}
			if got.Message == "" {
				t.Error("no message")
			}
		})
	}
}

func TestAHealthyMeshPassesEverything(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	seen := map[[4]string]bool{}
	for _, c := range Checks() {
		results := c.run(w)
		if len(results) == 0 && c.ID != "discovery-served" { // about clusters without an istiod: TestServedJudgements
			t.Errorf("%s says nothing", c.ID)
		}
		for _, r := range results {
			if r.Status != Pass || r.Code != "" {
				t.Errorf("%s: %s", r.Status, r.Line())
			}
			if seen[r.key()] {
				t.Errorf("twice: %q", r.key())
			}
			seen[r.key()] = true
		}
	}
}

func TestWhatWasNotObservedNeverPasses(t *testing.T) {
	t.Parallel()
	full, _ := healthy(t)
	empty := &World{Topology: full.Topology, Clusters: full.Clusters, Namespace: full.Namespace, TrustDomain: full.TrustDomain, Now: full.Now}
	broken := &World{Topology: full.Topology, Clusters: full.Clusters, Namespace: full.Namespace, TrustDomain: full.TrustDomain, Now: full.Now,
		Signers: map[string]Signer{}, Roots: map[string]Roots{}, Controls: map[string]Control{}, Nodes: map[string]Nodes{},
		Gateways: map[string]Gateway{}, Probes: map[string]Probes{}}
	for _, c := range full.Clusters {
		const why = "connection refused"
		broken.Signers[c], broken.Roots[c], broken.Controls[c] = Signer{Problem: why}, Roots{Problem: why}, Control{Problem: why}
		broken.Nodes[c], broken.Gateways[c], broken.Probes[c] = Nodes{Problem: why}, Gateway{Problem: why}, Probes{Problem: why}
	}
	started := *empty // a round of a watch that ended when its time was up
	started.Probes = full.Probes
	for name, w := range map[string]*World{"empty": empty, "unreachable": broken, "probes only": &started} {
		for _, c := range Checks() {
			for _, r := range c.run(w) {
				if r.Status != Inconclusive {
					t.Errorf("%s world: %s: %s", name, r.Status, r.Line())
				}
			}
		}
	}
}

func TestOneClusterWithoutProbesLeavesTheOthersJudged(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	w.Probes["east"] = Probes{Problem: `pods "echo" is forbidden: exceeded quota: small`}
	if r := find(t, w, "discovery-answers", "west", "east", ""); r.Status != Inconclusive {
		t.Errorf("%s: %s", r.Status, r.Message)
	}
	if r := find(t, w, "authorization-plaintext", "west", "west", ""); r.Status != Pass {
		t.Errorf("west alone: %s: %s", r.Status, r.Message)
	}
	if r := find(t, w, "trust-roots", "west", "east", "cacerts"); r.Status != Pass {
		t.Errorf("what needs no probe: %s: %s", r.Status, r.Message)
	}
}
