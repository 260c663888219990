// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// LabelRevision says on a namespace or a pod which revision of istiod injects it: the revision's
// name or a tag (https://istio.io/latest/docs/setup/upgrade/canary/).
const LabelRevision = "istio.io/rev"

// istioRelease is a minor version of Istio and the minor versions of Kubernetes that it supports.
type istioRelease struct {
	minor          string
	oldest, newest int // of Kubernetes 1.x
}

// istioReleases are the versions that Istio supports together, oldest first. Source:
// https://istio.io/latest/docs/releases/supported-releases/ (the table "Support status of Istio
// releases"); for 1.31, which this program builds in, MinK8SVersion in
// istioctl/pkg/install/k8sversion of Istio's source, and the client libraries that it is built with.
func istioReleases() []istioRelease {
	return []istioRelease{
		{"1.28", 30, 34},
		{"1.29", 31, 35},
		{"1.30", 32, 36},
		{"1.31", 32, 36},
	}
}

// IstioMinors lists the minor versions of Istio that can be installed, oldest first.
func IstioMinors() []string {
	var minors []string
	for _, r := range istioReleases() {
		minors = append(minors, r.minor)
	}
	return minors
}

// KubernetesFor lists the minor versions of Kubernetes that a version of Istio supports, oldest
// first; nil for one that is not known.
func KubernetesFor(istio string) []string {
	for _, r := range istioReleases() {
		if r.minor != Minor(istio) {
			continue
		}
		var minors []string
		for n := r.oldest; n <= r.newest; n++ {
			minors = append(minors, "1."+strconv.Itoa(n))
		}
		return minors
	}
	return nil
}

// KubernetesFits says whether a version of Istio supports a cluster's Kubernetes: an older one is
// refused; a newer one may only be newer than this program, which is a warning.
func KubernetesFits(istio, kubernetes string) (refused, warning string) {
	supported := KubernetesFor(istio)
	if len(supported) == 0 || Minor(kubernetes) == "" || slices.Contains(supported, Minor(kubernetes)) {
		return "", ""
	}
	oldest, newest := supported[0], supported[len(supported)-1]
	text := fmt.Sprintf("Istio %s supports Kubernetes %s to %s, and this is %s", istio, oldest, newest, kubernetes)
	if skew, err := MinorSkew(kubernetes, oldest); err == nil && skew < 0 {
		return text, ""
	}
	return "", text
}

// MinorSkew is how many minor versions the first version is ahead of the second, negative when it
// is behind. It fails for what is no version and for different major versions, which nobody
// supports together.
func MinorSkew(version, other string) (int, error) {
	var numbers [2]int
	for i, v := range []string{version, other} {
		major, minor, _ := strings.Cut(Minor(v), ".")
		n, err := strconv.Atoi(minor)
		if err != nil || major != "1" {
			return 0, fmt.Errorf("%q is no version 1.x", v)
		}
		numbers[i] = n
	}
	return numbers[0] - numbers[1], nil
}

// Minor is the minor version of a release: 1.31 of 1.31.0, v1.31.0 or 1.31.0-rc.1; empty for what
// is no version.
func Minor(version string) string {
	found := regexp.MustCompile(`^v?((?:0|[1-9][0-9]{0,3})\.(?:0|[1-9][0-9]{0,3}))(?:\.|$|[+-])`).FindStringSubmatch(version)
	if found == nil {
		return ""
	}
	return found[1]
}

// IstioRelease is the release that is installed: what the file names, else the built-in one.
func (t *Topology) IstioRelease() string { return t.Spec.Istio.release() }

func (i *Istio) release() string { return cmp.Or(i.Version, IstioVersion) }

// IstioTag is the tag of Istio's images: that of the release, unless the Helm values name one.
func (t *Topology) IstioTag() string {
	if global, ok := t.Spec.Istio.Values["global"].(map[string]any); ok {
		if tag, ok := global["tag"].(string); ok && tag != "" {
			return tag
		}
	}
	return t.IstioRelease()
}

// IstiodName is the name of istiod's Deployment, Service and Helm release: istiod, with the
// revision behind it when there is one.
func (t *Topology) IstiodName() string { return t.Revisioned("istiod") }

// Revisioned appends the control plane's revision to a name, as Istio's charts do.
func (t *Topology) Revisioned(name string) string {
	if t.Spec.Istio.Revision == "" {
		return name
	}
	return name + "-" + t.Spec.Istio.Revision
}

// DefaultRevision is what Istio's charts call a control plane without a revision.
const DefaultRevision = "default"

// RevisionName is what Istio's charts write into the label istio.io/rev of what belongs to the
// control plane: the revision, or default.
func (t *Topology) RevisionName() string { return cmp.Or(t.Spec.Istio.Revision, DefaultRevision) }

// RevisionOf is the revision that the labels of something of Istio's name; default where they name
// none.
func RevisionOf(labels map[string]string) string {
	return cmp.Or(labels[LabelRevision], DefaultRevision)
}

// Injection is the label by which a namespace gets sidecars: istio-injection=enabled, or
// istio.io/rev with the tag or the revision.
func (t *Topology) Injection() (key, value string) {
	switch i := t.Spec.Istio; {
	case i.Tag != "":
		return LabelRevision, i.Tag
	case i.Revision != "":
		return LabelRevision, i.Revision
	}
	return LabelInjection, "enabled"
}

// ExposedHosts are the services of a cluster that other networks reach through its east-west
// gateway: what eastWest.hosts says and, so that the proof reaches its own, those of the namespaces
// of verify's probes, of a watch's, and of the probers. Empty means all.
func (t *Topology) ExposedHosts(cluster string) []string {
	c := t.Cluster(cluster)
	if c == nil || len(c.EastWest.Hosts) == 0 {
		return nil
	}
	hosts := append([]string{}, c.EastWest.Hosts...)
	for _, namespace := range append(t.ProbeNamespaces(), ProberNamespace) {
		own := "*." + namespace + serviceDomain
		if !slices.ContainsFunc(hosts, func(host string) bool { return covers(host, own) }) {
			hosts = append(hosts, own)
		}
	}
	return hosts
}

// serviceDomain ends the names of Services (the cluster domain that kubeadm and Istio default to).
const serviceDomain = ".svc.cluster.local"

// covers says whether a host of Istio, with or without a leading *, includes another one.
func covers(host, other string) bool {
	if rest, wild := strings.CutPrefix(host, "*"); wild {
		return strings.HasSuffix(strings.TrimPrefix(other, "*"), rest)
	}
	return host == other
}
