// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

// ClusterFacts are what was seen of one cluster that is right or wrong only beside an earlier
// report. What was not looked at is absent.
type ClusterFacts struct {
	// Cluster that the facts are of.
	Cluster string `json:"cluster"`
	// Istiod are the versions of the running replicas, by their image's tag, in order.
	Istiod []string `json:"istiod,omitempty"`
	// Root of the secret cacerts.
	Root *CertificateFact `json:"root,omitempty"`
	// Intermediate of the secret cacerts.
	Intermediate *CertificateFact `json:"intermediate,omitempty"`
	// Leaf is what a workload of the cluster serves: istiod renews it all day.
	Leaf *CertificateFact `json:"leaf,omitempty"`
	// RemoteSecrets by peer, in order.
	RemoteSecrets []CredentialFact `json:"remoteSecrets,omitempty"`
}

// CertificateFact is a certificate by its fingerprint (SHA256:...) and its end in UTC.
type CertificateFact struct {
	// Fingerprint of the whole certificate, "SHA256:...".
	Fingerprint string `json:"fingerprint"`
	// NotAfter is when it ends, in UTC.
	NotAfter time.Time `json:"notAfter"`
}

// CredentialFact is what istiod has to read a peer with.
type CredentialFact struct {
	// Peer is the cluster that it is for.
	Peer string `json:"peer"`
	// Expires is as the secret's annotation says, in UTC; zero, and left out, when it does not.
	Expires time.Time `json:"expires,omitzero"`
}

// facts of every cluster that is judged or whose istiod serves one that is.
func (w *World) facts() []ClusterFacts {
	var all []ClusterFacts
	clusters := slices.Clone(w.Clusters)
	for _, c := range w.planes() {
		if !slices.Contains(clusters, c) {
			clusters = append(clusters, c)
		}
	}
	for _, c := range clusters {
		f := ClusterFacts{Cluster: c, Root: certificateFact(w.Signers[c].Root), Intermediate: certificateFact(w.Signers[c].Intermediate)}
		for _, r := range w.Controls[c].Replicas {
			if r.Version != "" && !slices.Contains(f.Istiod, r.Version) {
				f.Istiod = append(f.Istiod, r.Version)
			}
		}
		slices.Sort(f.Istiod)
		if chain := w.Wire[topology.Pair{From: c, To: c}].Chain; len(chain) > 0 {
			f.Leaf = certificateFact(chain[0])
		}
		for _, peer := range sortedKeys(w.Controls[c].Secrets) {
			f.RemoteSecrets = append(f.RemoteSecrets, CredentialFact{Peer: peer, Expires: w.Controls[c].Expires[peer]})
		}
		all = append(all, f)
	}
	return all
}

func certificateFact(c *x509.Certificate) *CertificateFact {
	if c == nil {
		return nil
	}
	return &CertificateFact{Fingerprint: certs.Fingerprint(c), NotAfter: c.NotAfter.UTC()}
}

// istiodVersion is the tag of the image that istiod's container runs; "" when it has none.
func istiodVersion(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		image, _, _ := strings.Cut(c.Image, "@")
		if i := strings.LastIndex(image, ":"); c.Name == "discovery" && i > strings.LastIndex(image, "/") {
			return image[i+1:]
		}
	}
	return ""
}
