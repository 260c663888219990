// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of what is accepted.
const (
	// MaxNameLength bounds <topology>-<cluster>: kind appends "-control-plane" to name the
	// node, and Kubernetes takes at most 63 characters in its label kubernetes.io/hostname.
	MaxNameLength = 63 - len("-control-plane")
	// LeafLifetime is how long Istio's workload certificates live by default
	// (DEFAULT_WORKLOAD_CERT_TTL of istiod); no authority may live shorter.
	LeafLifetime = 24 * time.Hour
	// signedWithin is how long after the root is made `up` may sign the last intermediate under it,
	// which none the less ends first.
	signedWithin = time.Hour
	// minTokenLifetime is the API server's bound of a TokenRequest; maxTokenLifetime is ours
	// and lies far within the other bound, 2^32 seconds.
	minTokenLifetime = 10 * time.Minute
	maxTokenLifetime = 10 * year
)

// validate adds every rule that the decoded topology breaks.
func (c *collector) validate(t *Topology) {
	c.required("apiVersion", t.APIVersion, "write apiVersion: "+APIVersion)
	c.required("kind", t.Kind, "write kind: "+Kind)
	c.label("metadata.name", t.Metadata.Name, "write a name for the topology, such as usmesh")
	c.mesh(&t.Spec.Mesh)
	c.charts(&t.Spec.Istio.Charts)
	c.istio(t)
	c.images(&t.Spec.Images)
	c.certificates(&t.Spec.Certificates)
	c.between("spec.credentials.lifetime", t.Spec.Credentials.Lifetime, minTokenLifetime, maxTokenLifetime)
	c.containerNetwork(t)
	c.verify(&t.Spec.Verify)
	c.services(t)
	if len(t.Spec.Clusters) == 0 {
		c.add("spec.clusters", "there are no clusters", "write at least one: clusters: [{name: west}, {name: east}]")
	}
	c.clusters(t)
	c.discovery(t)
	c.existing(t)
	c.networks(t)
	c.ports(t)
}

func (c *collector) required(path, value, fix string) bool {
	if value == "" {
		c.add(path, "it is missing or empty", fix)
	}
	return value != ""
}

func (c *collector) mesh(m *Mesh) {
	if c.said("spec.mesh.id") && !isLabelValue(m.ID) {
		c.add("spec.mesh.id", fmt.Sprintf("%q is no mesh ID", m.ID), fixLabelValue)
	}
	if c.required("spec.mesh.trustDomain", m.TrustDomain, "write cluster.local, or a domain such as mesh.example.com") && !isDomain(m.TrustDomain) {
		c.add("spec.mesh.trustDomain", fmt.Sprintf("%q is no trust domain", m.TrustDomain),
			"write lower case letters, digits and hyphens in parts separated by dots, such as mesh.example.com")
	}
}

func (c *collector) certificates(pki *Certificates) {
	const root, intermediate = "spec.certificates.root", "spec.certificates.intermediate"
	var sources []string
	if pki.Root.Generate != nil {
		sources = append(sources, "generate")
	}
	if pki.Root.Files != nil {
		sources = append(sources, "files")
	}
	if pki.Root.KMS != nil {
		sources = append(sources, "kms")
	}
	if len(sources) > 1 {
		c.add(root, strings.Join(sources, " and ")+" exclude each other", "keep one of them")
		return
	}
	c.atLeast(intermediate+".lifetime", pki.Intermediate.Lifetime, LeafLifetime)
	generate := pki.Root.Generate
	if generate == nil {
		return
	}
	c.atLeast(root+".generate.lifetime", generate.Lifetime, LeafLifetime)
	least := pki.Intermediate.Lifetime + Duration(signedWithin)
	if generate.Lifetime-Duration(signedWithin) >= pki.Intermediate.Lifetime {
		return
	}
	if !c.said(intermediate + ".lifetime") {
		c.add(root+".generate.lifetime",
			fmt.Sprintf("a root of %s ends before its intermediates, which are made up to %s later and live %s by default", generate.Lifetime, Duration(signedWithin), pki.Intermediate.Lifetime),
			fmt.Sprintf("write at least %s here, or a shorter one in %s.lifetime", least, intermediate))
		return
	}
	c.add(intermediate+".lifetime",
		fmt.Sprintf("an intermediate of %s, made up to %s later, outlives its root of %s", pki.Intermediate.Lifetime, Duration(signedWithin), generate.Lifetime),
		fmt.Sprintf("write a shorter lifetime here, or at least %s in %s.generate.lifetime", least, root))
}

func (c *collector) atLeast(path string, d Duration, least time.Duration) {
	if time.Duration(d) < least {
		c.add(path, fmt.Sprintf("%s is shorter than the %s that a workload's certificate lives", d, Duration(least)), fmt.Sprintf("write at least %s", Duration(least)))
	}
}

func (c *collector) between(path string, d Duration, least, most time.Duration) {
	if time.Duration(d) < least || time.Duration(d) > most {
		c.add(path, d.String()+" is out of range", fmt.Sprintf("write %s to %s", Duration(least), Duration(most)))
	}
}

func (c *collector) number(path string, n, least, most int) {
	if n < least || n > most {
		c.add(path, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("write %d to %d", least, most))
	}
}

func (c *collector) verify(v *Verify) {
	seen := map[string]bool{}
	for i, suite := range v.Suites {
		path := fmt.Sprintf("spec.verify.suites[%d]", i)
		switch {
		case !slices.Contains(Suites(), suite):
			c.add(path, fmt.Sprintf("there is no suite %q", suite), suggestValue(suite, Suites()))
		}
		if seen[suite] {
			c.add(path, fmt.Sprintf("the suite %q is said twice", suite), "keep one of the two")
		}
		seen[suite] = true
	}
	c.number("spec.verify.proxies", v.Proxies, 1, 1000)
	c.number("spec.verify.failover.rate", v.Failover.Rate, 1, 1000)
	c.number("spec.verify.failover.lostAtMost", v.Failover.LostAtMost, 0, 100000)
	c.between("spec.verify.failover.within", v.Failover.Within, time.Second, time.Hour)
	c.between("spec.verify.failover.backWithin", v.Failover.BackWithin, time.Second, time.Hour)
	if c.label("spec.verify.probe.namespace", v.Probe.Namespace, "write a namespace that nothing else uses, such as meshfed-verify") {
		switch v.Probe.Namespace {
		case "default", "kube-system", "kube-public", "kube-node-lease", SystemNamespace, MetalLBNamespace:
			c.add("spec.verify.probe.namespace", fmt.Sprintf("%q belongs to something else; the probe's namespace is removed after use", v.Probe.Namespace),
				"write a namespace that nothing else uses, such as meshfed-verify")
		}
	}
	if strings.ContainsAny(v.Probe.Image, " \t\r\n") {
		c.add("spec.verify.probe.image", fmt.Sprintf("%q is no image name", v.Probe.Image), "write a name such as registry.example.com/meshfed-probe:1, or remove it")
	}
}
