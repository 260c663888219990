// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"testing"
	"time"

	"istio.io/istio/security/pkg/pki/util"

	"github.com/meshfed/meshfed/certs"
)

// TestIstiodAccepts loads the files with istiod's own code, the way it reads cacerts, and
// signs a workload with them. That code knows no other time than the clock's.
func TestIstiodAccepts(t *testing.T) {
	t.Parallel()
	for _, algorithm := range certs.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			root, err := certs.NewRoot(certs.Options{CommonName: "root", Algorithm: algorithm, Lifetime: rootLifetime})
			must(t, err)
			c, err := root.NewCACerts(certs.Options{CommonName: "west", Algorithm: algorithm, Lifetime: caLifetime})
			must(t, err)
			must(t, util.Verify(c.CACert, c.CAKey, c.CertChain, c.RootCert, nil))
			key, err := util.ParsePemEncodedKey(c.CAKey)
			must(t, err)
			ca, err := c.Intermediate()
			must(t, err)
			leaf, _, err := util.GenCertKeyFromOptions(util.CertOptions{
				Host: "spiffe://cluster.local/ns/default/sa/probe", TTL: time.Hour, Org: "x",
				SignerCert: ca, SignerPriv: key, ECSigAlg: util.EcdsaSigAlg,
			})
			must(t, err)
			must(t, util.VerifyCertificate(nil, append(leaf, c.CertChain...), c.RootCert, nil))
		})
	}
}
