// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

// expirySoon is the part of a certificate's lifetime that is left when it is warned about.
const expirySoon = 10

func judgeSigners(w *World) []Result {
	var out []Result
	for _, c := range w.Clusters {
		if primary := w.Topology.Primary(c); primary != c {
			out = append(out, skip("the istiod of %s signs for %s, whose own authority nobody uses", primary, c).between("", c))
		}
	}
	for _, c := range w.planes() {
		out = append(out, judgeSigner(w, c, w.Signers[c]).between("", c).with("see", fmt.Sprintf(
			"kubectl --context %s -n istio-system get secret cacerts -o jsonpath='{.data.ca-cert\\.pem}' | base64 -d | openssl x509 -noout -text", w.Topology.Context(c))))
	}
	return out
}

func judgeSigner(w *World, c string, s Signer) Result {
	switch {
	case s.Problem != "":
		return unsure("cacerts of %s could not be read: %s", c, s.Problem)
	case s.Absent:
		return fail("TRU002", "cacerts is missing in %s, istiod signs with a CA of its own", c)
	case s.Intermediate != nil && w.Now.After(s.Intermediate.NotAfter):
		return fail("TRU006", "the intermediate of %s expired on %s", c, day(s.Intermediate.NotAfter))
	case s.Invalid != "":
		return fail("TRU005", "cacerts in %s is invalid: %s", c, s.Invalid)
	case s.Intermediate == nil || s.Root == nil:
		return unsure("cacerts of %s was not looked at", c)
	}
	r := pass("%s signs as %q until %s", c, s.Intermediate.Subject.CommonName, day(s.Intermediate.NotAfter))
	for _, cert := range []*x509.Certificate{s.Root, s.Intermediate} {
		if left := cert.NotAfter.Sub(w.Now); left < cert.NotAfter.Sub(cert.NotBefore)/expirySoon {
			r = warn("TRU006", "%q in %s expires in %d days", cert.Subject.CommonName, c, int(left.Hours()/24))
		}
	}
	return r.with("root", certs.Fingerprint(s.Root)).with("intermediate", certs.Fingerprint(s.Intermediate)).with("notAfter", s.Intermediate.NotAfter.UTC())
}

// judgeRoots compares roots pair by pair, once as control planes have them and once as
// workloads are given them: either may be wrong alone.
func judgeRoots(w *World) []Result {
	var out []Result
	for _, p := range pairs(w.Clusters) {
		a, b := w.signer(p.From), w.signer(p.To)
		r := unsure("the roots of %s and %s could not both be read", p.From, p.To)
		if a.Root != nil && b.Root != nil {
			r = sameRoot(p.From, p.To, certs.Fingerprint(a.Root), certs.Fingerprint(b.Root))
		}
		out = append(out, r.between(p.From, p.To, "cacerts"))

		ra, rb := w.Roots[p.From], w.Roots[p.To]
		namespaces := w.given()
		namespace := namespaces[len(namespaces)-1]
		na, nb := ra.ByNamespace[namespace], rb.ByNamespace[namespace]
		r = unsure("istio-ca-root-cert of %s and %s could not both be read", p.From, p.To)
		if ra.Problem == "" && rb.Problem == "" && len(na) > 0 && len(nb) > 0 {
			one := shared(na, nb)
			r = sameRoot(p.From, p.To, one, shared(nb, []string{one}))
		}
		out = append(out, r.between(p.From, p.To, "istio-ca-root-cert"))
	}
	return out
}

// given are the namespaces whose istio-ca-root-cert is looked at: without probes theirs is not there.
func (w *World) given() []string {
	if !w.Access.probes() {
		return []string{topology.SystemNamespace}
	}
	return []string{topology.SystemNamespace, w.Namespace}
}

// shared is a fingerprint of a that b has too, or else a's first: during a rotation bundles
// hold two roots and one in common is enough.
func shared(a, b []string) string {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return x
			}
		}
	}
	return a[0]
}

func sameRoot(a, b, fa, fb string) Result {
	r := pass("%s and %s have one root, %s", a, b, short(fa))
	if fa != fb {
		r = fail("TRU001", "root of %s differs from root of %s: %s vs %s", a, b, short(fa), short(fb))
	}
	return r.with("roots", map[string]string{a: fa, b: fb})
}

func judgeDistributed(w *World) []Result {
	var out []Result
	for _, c := range w.Clusters {
		s, roots := w.signer(c), w.Roots[c]
		want := ""
		if s.Root != nil {
			want = certs.Fingerprint(s.Root)
		}
		for _, ns := range w.given() {
			have, looked := roots.ByNamespace[ns]
			if roots.Problem != "" || s.Root == nil || !looked {
				out = append(out, unsure("the root that workloads in %s of %s are given could not be compared: %s", ns, c,
					or(roots.Problem, s.Problem, s.Invalid, w.notReady(c), "no cacerts")).between("", c, ns))
				continue
			}
			r := pass("workloads in %s of %s are given the root of cacerts", ns, c)
			switch {
			case len(have) == 0:
				r = fail("TRU011", "ConfigMap istio-ca-root-cert is missing in %s/%s", c, ns)
			case shared(have, []string{want}) != want:
				r = fail("TRU011", "ConfigMap istio-ca-root-cert in %s/%s differs from the root of cacerts: %s vs %s", c, ns, short(have[0]), short(want))
			}
			out = append(out, r.between("", c, ns).with("have", have).with("want", want))
		}
	}
	return out
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// short is a fingerprint that two people can compare over the phone.
func short(fingerprint string) string {
	if len(fingerprint) <= 23 {
		return fingerprint
	}
	return fingerprint[:23]
}
