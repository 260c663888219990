// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/certs"
)

// examples bounds the proxies that a result names.
const examples = 5

// helds judges the proxies of each cluster.
func helds(w *World, judge func(c string, h Held) Result) []Result {
	var out []Result
	for _, c := range w.Clusters {
		r := w.unheld(c)
		if r.Status == "" {
			r = judge(c, w.Held[c])
		}
		out = append(out, r.between("", c).with("see", fmt.Sprintf(
			"istioctl --context %s proxy-config secret POD.NAMESPACE -o json", w.Topology.Context(c))))
	}
	return out
}

// unheld is why nothing can be said about the proxies of some clusters; without a status when it can.
func (w *World) unheld(clusters ...string) Result {
	for _, c := range clusters {
		h, ok := w.Held[c]
		switch {
		case !ok:
			return unsure("the proxies of %s were not looked at", c)
		case h.Total == 0:
			return unsure("%s has no proxy to look at", c)
		case len(h.Proxies) == 0:
			return unsure("no certificate could be read from the %d proxies of %s: %s", h.Total, c, strings.Join(h.Unread[:min(len(h.Unread), 1)], ""))
		}
	}
	return Result{}
}

// read says how many proxies a judgement rests on.
func (h Held) read() string { return fmt.Sprintf("%d of %d proxies", len(h.Proxies), h.Total) }

// judgeHeldRoot tries the chains in the proxies of each cluster against the roots in those of each.
func judgeHeldRoot(w *World) []Result {
	var out []Result
	for _, from := range w.Clusters {
		for _, to := range w.Clusters {
			r := w.unheld(from, to)
			if r.Status == "" {
				r = w.trusts(from, to)
			}
			out = append(out, r.between(from, to))
		}
	}
	return out
}

func (w *World) trusts(from, to string) Result {
	theirs := w.Held[to]
	bundles := bundlesOf(w.Held[from])
	var refused []string
	code := "TRU001"
	for _, h := range theirs.Proxies {
		for _, bundle := range bundles {
			pool := x509.NewCertPool()
			for _, root := range bundle.Roots {
				pool.AddCert(root)
			}
			_, err := h.Chain[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: h.intermediates(), CurrentTime: w.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			if err == nil {
				continue
			}
			if w.Now.After(h.Chain[0].NotAfter) {
				code = "TRU006"
			}
			refused = append(refused, fmt.Sprintf("%s of %s does not trust %s of %s: %v", bundle.Pod, from, h.Pod, to, err))
			break
		}
	}
	if len(refused) > 0 {
		return fail(code, "%d of %d proxies of %s are not trusted in %s: %s", len(refused), len(theirs.Proxies), to, from, refused[0]).
			with("refused", refused[:min(len(refused), examples)])
	}
	return pass("what %s of %s hold is trusted by %s of %s", theirs.read(), to, w.Held[from].read(), from).
		with("roots", fingerprints(bundles[0].Roots))
}

// bundlesOf is one proxy for each different set of roots.
func bundlesOf(h Held) []Holder {
	var different []Holder
	for _, p := range h.Proxies {
		if !slices.ContainsFunc(different, func(o Holder) bool { return slices.EqualFunc(o.Roots, p.Roots, (*x509.Certificate).Equal) }) {
			different = append(different, p)
		}
	}
	return different
}

func judgeHeldSigner(w *World) []Result {
	return helds(w, func(c string, h Held) Result {
		by := map[string][]string{} // pods by who signed their leaf
		names := map[string]string{}
		for _, p := range h.Proxies {
			signer := p.Chain[0].Issuer.String()
			if len(p.Chain) > 1 && p.Chain[0].CheckSignatureFrom(p.Chain[1]) == nil {
				signer = certs.Fingerprint(p.Chain[1])
			}
			by[signer], names[signer] = append(by[signer], p.Pod), p.Chain[0].Issuer.String()
		}
		signers := sortedKeys(by)
		slices.SortStableFunc(signers, func(a, b string) int { return len(by[b]) - len(by[a]) })
		first := signers[0]
		if len(signers) == 1 {
			return pass("%s of %s hold a leaf of %q", h.read(), c, names[first]).with("signer", first)
		}
		others := by[signers[1]]
		return warn("TRU004", "%d of %d proxies of %s hold a leaf of %q and %d one of %q: some have not renewed theirs since the signer changed",
			len(by[first]), len(h.Proxies), c, names[first], len(others), names[signers[1]]).with("signers", by)
	})
}

func judgeHeldIdentity(w *World) []Result {
	return helds(w, func(c string, h Held) Result {
		var strange []string
		for _, p := range h.Proxies {
			uris := p.Chain[0].URIs
			if len(uris) != 1 || uris[0].Scheme != "spiffe" || uris[0].Host != w.TrustDomain {
				strange = append(strange, fmt.Sprintf("%s is %v", p.Pod, uris))
			}
		}
		if len(strange) > 0 {
			return fail("TRU008", "%d of %d proxies of %s are not of the trust domain %s: %s", len(strange), len(h.Proxies), c, w.TrustDomain, strange[0]).
				with("strange", strange[:min(len(strange), examples)])
		}
		return pass("%s of %s are of the trust domain %s", h.read(), c, w.TrustDomain)
	})
}

func judgeHeldLifetime(w *World) []Result {
	return helds(w, func(c string, h Held) Result {
		soonest := h.Proxies[0].Chain[len(h.Proxies[0].Chain)-1]
		var outlived, ending []string
		for _, p := range h.Proxies {
			for i, cert := range append(slices.Clone(p.Chain), p.Roots...) {
				if w.Now.After(cert.NotAfter) || w.Now.Before(cert.NotBefore) {
					return fail("TRU006", "%q in proxy %s of %s is valid from %s to %s only", cert.Subject.String(), p.Pod, c, cert.NotBefore.UTC(), cert.NotAfter.UTC())
				}
				if i == 0 {
					continue // leaves are renewed all the time
				}
				if left := cert.NotAfter.Sub(w.Now); left < cert.NotAfter.Sub(cert.NotBefore)/expirySoon {
					ending = append(ending, fmt.Sprintf("%q expires in %d days", cert.Subject.CommonName, int(left.Hours()/24)))
				}
				if cert.NotAfter.Before(soonest.NotAfter) {
					soonest = cert
				}
			}
			for _, cert := range p.Chain[1:] {
				if p.Chain[0].NotAfter.After(cert.NotAfter) {
					outlived = append(outlived, p.Pod)
				}
			}
		}
		r := pass("what %s of %s hold is valid; first %q ends, on %s", h.read(), c, soonest.Subject.CommonName, day(soonest.NotAfter))
		switch {
		case len(outlived) > 0:
			r = warn("TRU007", "the leaf in proxy %s of %s outlives its issuer", outlived[0], c)
		case len(ending) > 0:
			r = warn("TRU006", "in the proxies of %s %s", c, ending[0])
		}
		return r.with("notAfter", soonest.NotAfter.UTC())
	})
}

// judgeReach judges, without probes, whether the services that a cluster backs have endpoints
// there in the proxies of the others.
func judgeReach(w *World) []Result {
	var out []Result
	for _, p := range w.pairs() {
		reach, ok := w.Reach[p.From]
		backed, reached := reach.Backed[p.To], reach.Reached[p.To]
		code, words := w.obstacle(p.From, p.To)
		var r Result
		switch {
		case !ok || reach.Problem != "":
			r = unsure("the proxies of %s could not be looked at: %s", p.From, or(reach.Problem, "they were not"))
		case reach.Proxies == 0 && reach.Total > 0:
			r = unsure("none of the %d proxies of %s could be read", reach.Total, p.From)
		case reach.Proxies == 0:
			r = skip("%s has no proxy whose endpoints could be looked at", p.From)
		case reach.Unseen[p.To] != "":
			r = unsure("which services %s backs could not be looked at: %s", p.To, reach.Unseen[p.To])
		case len(backed) == 0:
			r = skip("no proxy of %s knows a service that %s has a pod with a sidecar for", p.From, p.To)
		case len(reached) > 0:
			r = pass("the proxies of %s have endpoints of %s for %d of %d services that it backs", p.From, p.To, len(reached), len(backed))
		case w.apart(p.From, p.To) && len(w.Gateways[p.To].Addresses) == 0 && len(w.Gateways[p.To].Hostnames) > 0:
			r = unsure("which endpoints are the gateway of %s can not be told: its address is a hostname", p.To)
		case code == "" && w.apart(p.From, p.To):
			r = fail("NET003", "no proxy of %s has an endpoint of %s for any of %d services that it backs: istiod in %s knows no gateway for network %s",
				p.From, p.To, len(backed), p.From, w.network(p.To))
		default:
			r = fail(or(code, "FED011"), "no proxy of %s has an endpoint of %s for any of %d services that it backs: %s",
				p.From, p.To, len(backed), or(words, "its endpoints did not reach the proxies"))
		}
		out = append(out, r.between(p.From, p.To).with("backed", backed).with("reached", reached).with("proxies", reach.Proxies))
	}
	return out
}
