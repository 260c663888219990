// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"istio.io/istio/security/pkg/pki/ca"
	"istio.io/istio/security/pkg/pki/util"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

// TestIstiodAccepts runs istiod's own authority on the files, the way istiod reads cacerts: for
// each algorithm of a root, under it an intermediate of the same and one of the default. It
// signs what a proxy asks for and the certificate that istiod serves with. That code knows no
// other time than the clock's.
func TestIstiodAccepts(t *testing.T) {
	t.Parallel()
	for _, algorithm := range certs.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			root, err := certs.NewRoot(certs.Options{CommonName: "root", Algorithm: algorithm, Lifetime: rootLifetime})
			must(t, err)
			if got := size(t, root.Key.Public()); !strings.Contains(algorithm, got) {
				t.Errorf("made a key of %s", got)
			}
			for _, intermediate := range slices.Compact([]string{algorithm, certs.ECDSAP256}) {
				c, err := root.NewCACerts(certs.Options{CommonName: "west", Algorithm: intermediate, Lifetime: caLifetime})
				must(t, err)
				must(t, c.Check(time.Now()))
				istiodSigns(t, c)
			}
		})
	}
}

// istiodSigns starts istiod's authority and asks it as proxies do, with keys of both kinds.
func istiodSigns(t *testing.T, c *certs.CACerts) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range c.Data() {
		must(t, os.WriteFile(file(name), data, 0o600))
	}
	options, err := ca.NewPluggedCertIstioCAOptions(ca.SigningCAFileBundle{
		RootCertFile: file(certs.RootCertFile), CertChainFiles: []string{file(certs.CertChainFile)},
		SigningCertFile: file(certs.CACertFile), SigningKeyFile: file(certs.CAKeyFile),
	}, 24*time.Hour, 90*24*time.Hour, 2048)
	must(t, err)
	authority, err := ca.NewIstioCA(options)
	must(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.RootCert) {
		t.Fatal("root-cert.pem holds no certificate")
	}
	const identity = "spiffe://cluster.local/ns/default/sa/probe"
	for _, key := range []util.CertOptions{{Host: identity, ECSigAlg: util.EcdsaSigAlg}, {Host: identity, RSAKeySize: 2048}} {
		request, _, err := util.GenCSR(key)
		must(t, err)
		chain, err := authority.SignWithCertChain(request, ca.CertOpts{SubjectIDs: []string{identity}, TTL: time.Hour})
		must(t, err)
		verifyChain(t, []byte(strings.Join(chain, "")), roots)
	}
	served, _, err := authority.GenKeyCert([]string{"istiod.istio-system.svc"}, time.Hour, false)
	must(t, err)
	verifyChain(t, served, roots)
}

// verifyChain checks a leaf and what is sent with it, as a peer does.
func verifyChain(t *testing.T, chain []byte, roots *x509.CertPool) {
	t.Helper()
	sent, err := certs.ParseCertificates(chain)
	must(t, err)
	between := x509.NewCertPool()
	for _, cert := range sent[1:] {
		between.AddCert(cert)
	}
	_, err = sent[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	must(t, err)
}

// TestAlgorithmsAreThoseOfTheFile: what the file may say is what can be made.
func TestAlgorithmsAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	for _, of := range []any{topology.KeySpec{}, topology.Intermediate{}} {
		field, ok := reflect.TypeOf(of).FieldByName("Algorithm")
		if !ok {
			t.Fatalf("%T has no algorithm", of)
		}
		if said := strings.Split(field.Tag.Get("enum"), ","); !slices.Equal(said, certs.Algorithms()) {
			t.Errorf("%T accepts %v, and %v can be made", of, said, certs.Algorithms())
		}
	}
}

// TestIstiodDoesNotKnowEd25519 is why the file may not say it: istiod reads such a key, and its
// bundle of key and certificate then has no answer to what kind it is.
func TestIstiodDoesNotKnowEd25519(t *testing.T) {
	t.Parallel()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	identity, err := url.Parse("spiffe://cluster.local/ns/istio-system/sa/istiod")
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, URIs: []*url.URL{identity}, Subject: pkix.Name{Organization: []string{"x"}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	bundle, err := util.NewVerifiedKeyCertBundleFromPem(cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil, cert, nil)
	must(t, err)
	if _, err := bundle.CertOptions(); err == nil || !strings.Contains(err.Error(), "unknown private key type") {
		t.Errorf("istiod knows Ed25519 now (%v): the file may say it", err)
	}
	if _, err := certs.NewRoot(certs.Options{CommonName: "root", Algorithm: "Ed25519", Lifetime: rootLifetime}); err == nil {
		t.Error("an Ed25519 root is made")
	}
}
