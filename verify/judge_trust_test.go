// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"net/url"
	"testing"
	"time"

	"github.com/meshfed/meshfed/topology"
)

// rewire replaces the leaf that a cluster serves to another.
func rewire(t *testing.T, w *World, pki testPKI, from, to, signer string, alter func(*x509.Certificate)) {
	t.Helper()
	p := topology.Pair{From: from, To: to}
	wire := w.Wire[p]
	s := w.Signers[signer]
	wire.Chain = []*x509.Certificate{leaf(t, s.Intermediate, pki.keys[signer], alter), s.Intermediate, s.Root}
	w.Wire[p] = wire
}

func TestTrustJudgements(t *testing.T) {
	t.Parallel()
	change := func(f func(*Signer)) func(*World, testPKI) {
		return func(w *World, _ testPKI) {
			s := w.Signers["east"]
			f(&s)
			w.Signers["east"] = s
		}
	}
	check(t, []judgement{
		{"absent", change(func(s *Signer) { *s = Signer{Absent: true} }), "trust-cacerts", "", "east", "", Fail, "TRU002"},
		{"invalid", change(func(s *Signer) { s.Invalid = "key does not match" }), "trust-cacerts", "", "east", "", Fail, "TRU005"},
		{"unreadable", change(func(s *Signer) { *s = Signer{Problem: "forbidden"} }), "trust-cacerts", "", "east", "", Inconclusive, ""},
		{"expired", func(w *World, _ testPKI) { w.Now = w.Now.Add(20000 * time.Hour) }, "trust-cacerts", "", "east", "", Fail, "TRU006"},
		{"expires soon", func(w *World, _ testPKI) { w.Now = w.Now.Add(17000 * time.Hour) }, "trust-cacerts", "", "east", "", Warn, "TRU006"},

		{"unreadable", change(func(s *Signer) { *s = Signer{Problem: "forbidden"} }), "trust-roots", "west", "east", "cacerts", Inconclusive, ""},
		{"another root", func(w *World, _ testPKI) {
			w.Signers["east"], _ = testSigner(t, testRoot(t), "other")
		}, "trust-roots", "west", "east", "cacerts", Fail, "TRU001"},
		{"another root given to workloads", func(w *World, _ testPKI) {
			w.Roots["east"] = Roots{ByNamespace: map[string][]string{testNamespace: {"SHA256:00"}}}
		}, "trust-roots", "east", "west", "istio-ca-root-cert", Fail, "TRU001"},
		{"a bundle of old and new", func(w *World, _ testPKI) {
			old := w.Roots["west"].ByNamespace[testNamespace][0]
			w.Roots["east"] = Roots{ByNamespace: map[string][]string{testNamespace: {"SHA256:new", old}}}
		}, "trust-roots", "west", "east", "istio-ca-root-cert", Pass, ""},
		{"two roots in another order", func(w *World, _ testPKI) {
			w.Roots["west"] = Roots{ByNamespace: map[string][]string{testNamespace: {"SHA256:old", "SHA256:new"}}}
			w.Roots["east"] = Roots{ByNamespace: map[string][]string{testNamespace: {"SHA256:new", "SHA256:old"}}}
		}, "trust-roots", "west", "east", "istio-ca-root-cert", Pass, ""},
		{"no ConfigMap", func(w *World, _ testPKI) {
			w.Roots["east"] = Roots{ByNamespace: map[string][]string{testNamespace: nil}}
		}, "trust-roots", "west", "east", "istio-ca-root-cert", Inconclusive, ""},

		{"no ConfigMap", func(w *World, _ testPKI) {
			w.Roots["east"] = Roots{ByNamespace: map[string][]string{testNamespace: nil}}
		}, "trust-distributed", "", "east", testNamespace, Fail, "TRU011"},
		{"another root", func(w *World, _ testPKI) {
			w.Roots["east"] = Roots{ByNamespace: map[string][]string{testNamespace: {"SHA256:00"}}}
		}, "trust-distributed", "", "east", testNamespace, Fail, "TRU011"},
		{"no cacerts", change(func(s *Signer) { *s = Signer{Absent: true} }), "trust-distributed", "", "east", testNamespace, Inconclusive, ""},

		{"another root", func(w *World, pki testPKI) {
			w.Signers["east"], pki.keys["east"] = testSigner(t, testRoot(t), "other")
			rewire(t, w, pki, "west", "east", "east", nil)
		}, "trust-wire-root", "west", "east", "", Fail, "TRU001"},
		{"expired leaf", func(w *World, pki testPKI) {
			rewire(t, w, pki, "west", "east", "east", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })
		}, "trust-wire-root", "west", "east", "", Fail, "TRU006"},
		{"nothing served", func(w *World, _ testPKI) { w.Wire[topology.Pair{From: "west", To: "east"}] = Wire{Problem: "refused"} }, "trust-wire-root", "west", "east", "", Inconclusive, ""},

		{"another root, seen within only", func(w *World, pki testPKI) {
			w.Signers["east"], pki.keys["east"] = testSigner(t, testRoot(t), "other")
			rewire(t, w, pki, "east", "east", "east", nil)
			w.Wire[topology.Pair{From: "west", To: "east"}] = Wire{Problem: "the gateway has no route yet"}
		}, "trust-wire-root", "west", "east", "", Fail, "TRU001"},

		{"the other cluster's intermediate", func(w *World, pki testPKI) { rewire(t, w, pki, "west", "east", "west", nil) }, "trust-wire-signer", "west", "east", "", Fail, "TRU004"},
		{"istiod older than cacerts", func(w *World, pki testPKI) {
			rewire(t, w, pki, "west", "east", "west", nil)
			s := w.Signers["east"]
			s.Changed = w.Now
			w.Signers["east"] = s
		}, "trust-wire-signer", "west", "east", "", Fail, "TRU003"},
		{"no cacerts", change(func(s *Signer) { *s = Signer{Absent: true} }), "trust-wire-signer", "west", "east", "", Inconclusive, ""},
		{"a rotated signer", func(w *World, pki testPKI) {
			w.Signers["east"], pki.keys["east"] = testSigner(t, pki.root, "east.intermediate.2")
			rewire(t, w, pki, "west", "east", "east", nil)
		}, "trust-wire-signer", "west", "east", "", Pass, ""},

		{"another trust domain", func(w *World, pki testPKI) {
			rewire(t, w, pki, "west", "east", "east", func(c *x509.Certificate) { c.URIs[0].Host = "other.example" })
		}, "trust-wire-identity", "west", "east", "", Fail, "TRU008"},
		{"another account", func(w *World, pki testPKI) {
			rewire(t, w, pki, "west", "east", "east", func(c *x509.Certificate) {
				c.URIs = []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/x/sa/y"}}
			})
		}, "trust-wire-identity", "west", "east", "", Fail, "NET009"},
		{"no workload", func(w *World, pki testPKI) {
			rewire(t, w, pki, "west", "east", "east", func(c *x509.Certificate) { c.URIs = nil })
		}, "trust-wire-identity", "west", "east", "", Fail, "NET009"},

		{"leaf outlives its issuer", func(w *World, pki testPKI) {
			rewire(t, w, pki, "west", "east", "east", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(30000 * time.Hour) })
		}, "trust-wire-lifetime", "west", "east", "", Warn, "TRU007"},
		{"not yet valid", func(w *World, pki testPKI) {
			rewire(t, w, pki, "west", "east", "east", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
		}, "trust-wire-lifetime", "west", "east", "", Fail, "TRU006"},
	})
}

// TestNamesOfClustersAreNoNamesOfEvidence: how a result is seen again is not a fingerprint.
func TestNamesOfClustersAreNoNamesOfEvidence(t *testing.T) {
	t.Parallel()
	r := sameRoot("see", "timeline", "SHA256:a", "SHA256:b")
	if keys := r.Evidence.Keys(); r.See() != "" || len(keys) != 1 {
		t.Errorf("evidence %v, see %q", keys, r.See())
	}
}
