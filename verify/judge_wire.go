// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

// wires judges each chain that was served from one cluster to another, and within one.
func wires(w *World, judge func(p topology.Pair, wire Wire) Result) []Result {
	var out []Result
	for _, from := range w.Clusters {
		for _, to := range w.Clusters {
			p := topology.Pair{From: from, To: to}
			wire, ok := w.Wire[p]
			var r Result
			switch {
			case w.notReady(from, to) != "":
				r = unsure("%s", w.notReady(from, to))
			case !ok:
				r = unsure("what %s serves to %s was not looked at", to, from)
			case wire.Problem != "":
				r = w.unseen(p, wire, judge)
			case len(wire.Chain) == 0:
				r = unsure("%s served no certificate to %s", to, from)
			default:
				r = judge(p, wire).with("chain", fingerprints(wire.Chain))
			}
			out = append(out, r.between(from, to).with("address", wire.Addr).with("see", fmt.Sprintf(
				"from a pod in %s: openssl s_client -connect %s -servername %s -alpn istio -showcerts", from, wire.Addr, wire.SNI)))
		}
	}
	return out
}

// unseen judges a chain that did not come through to another cluster by what the same
// workload serves within its own: that may fail, but only the real way can pass.
func (w *World) unseen(p topology.Pair, wire Wire, judge func(p topology.Pair, wire Wire) Result) Result {
	within := w.Wire[topology.Pair{From: p.To, To: p.To}]
	if p.From != p.To && within.Problem == "" && len(within.Chain) > 0 {
		if r := judge(p, within); r.Status == Fail {
			r.Message += " (seen within " + p.To + "; to " + p.From + ": " + wire.Problem + ")"
			return r.with("chain", fingerprints(within.Chain))
		}
	}
	return unsure("what %s serves to %s could not be seen: %s", p.To, p.From, wire.Problem)
}

func judgeWireRoot(w *World) []Result {
	return wires(w, func(p topology.Pair, wire Wire) Result {
		root := w.signer(p.From).Root
		if root == nil {
			return unsure("the root of %s is not known", p.From)
		}
		leaf := wire.Chain[0]
		if w.Now.After(leaf.NotAfter) || w.Now.Before(leaf.NotBefore) {
			return fail("TRU006", "%s serves a leaf that is valid from %s to %s only", p.To, day(leaf.NotBefore), day(leaf.NotAfter))
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(root)
		for _, c := range wire.Chain[1:] {
			between.AddCert(c)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: w.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if err != nil {
			return fail("TRU001", "what %s serves does not chain to the root of %s (%s): %v", p.To, p.From, short(certs.Fingerprint(root)), err)
		}
		return pass("what %s serves to %s chains to the root %s", p.To, p.From, short(certs.Fingerprint(root)))
	})
}

func judgeWireSigner(w *World) []Result {
	return wires(w, func(p topology.Pair, wire Wire) Result {
		signer, primary := w.signer(p.To), w.Topology.Primary(p.To)
		if signer.Intermediate == nil {
			return unsure("the intermediate of %s is not known", p.To)
		}
		if slices.ContainsFunc(wire.Chain[1:], signer.Intermediate.Equal) && wire.Chain[0].CheckSignatureFrom(signer.Intermediate) == nil {
			return pass("%s serves a leaf of the intermediate %q of %s", p.To, signer.Intermediate.Subject.CommonName, primary)
		}
		for _, replica := range w.Controls[primary].Replicas {
			if !replica.Started.IsZero() && replica.Started.Before(signer.Changed) {
				return fail("TRU003", "%s serves a leaf of another signer than cacerts of %s: istiod %s started before cacerts was written", p.To, primary, replica.Pod).
					with("istiodStarted", replica.Started.UTC()).with("cacertsWritten", signer.Changed.UTC())
			}
		}
		return fail("TRU004", "%s serves a leaf that was signed by %q, not by the intermediate in cacerts of %s", p.To, wire.Chain[0].Issuer.String(), primary)
	})
}

func judgeWireIdentity(w *World) []Result {
	return wires(w, func(p topology.Pair, wire Wire) Result {
		uris := wire.Chain[0].URIs
		if len(uris) == 0 {
			return fail("NET009", "TLS on %s is answered by something other than a workload of %s: its certificate has no SPIFFE ID", wire.Addr, p.To)
		}
		have := uris[0].String()
		switch {
		case have == wire.Want && len(uris) == 1:
			return pass("%s serves %s", p.To, have)
		case uris[0].Scheme == "spiffe" && uris[0].Host != w.TrustDomain:
			return fail("TRU008", "%s serves the trust domain %s, the mesh has %s", p.To, uris[0].Host, w.TrustDomain)
		}
		return fail("NET009", "%s is answered by %s, want %s", wire.Addr, have, wire.Want)
	})
}

func judgeWireLifetime(w *World) []Result {
	return wires(w, func(p topology.Pair, wire Wire) Result {
		for _, c := range wire.Chain {
			if w.Now.After(c.NotAfter) || w.Now.Before(c.NotBefore) {
				return fail("TRU006", "%q that %s serves is valid from %s to %s only", c.Subject.String(), p.To, c.NotBefore.UTC(), c.NotAfter.UTC())
			}
		}
		leaf := wire.Chain[0]
		for _, c := range wire.Chain[1:] {
			if leaf.NotAfter.After(c.NotAfter) {
				return warn("TRU007", "the leaf that %s serves outlives its issuer %q", p.To, c.Subject.CommonName)
			}
		}
		return pass("%s serves a leaf that is valid for %s", p.To, leaf.NotAfter.Sub(leaf.NotBefore)).
			with("notBefore", leaf.NotBefore.UTC()).with("notAfter", leaf.NotAfter.UTC())
	})
}

func fingerprints(chain []*x509.Certificate) []string {
	var all []string
	for _, c := range chain {
		all = append(all, certs.Fingerprint(c)+" "+c.Subject.String())
	}
	return all
}
