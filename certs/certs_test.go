// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/certs"
)

// now is when the tests take place.
func now() time.Time { return time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC) }

const (
	year         = 365 * 24 * time.Hour
	rootLifetime = 10 * year
	caLifetime   = 2 * year
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRoot(t testing.TB) *certs.Root {
	t.Helper()
	r, err := certs.NewRoot(certs.Options{CommonName: "usmesh root", Lifetime: rootLifetime, Now: now()})
	must(t, err)
	return r
}

func newCACerts(t testing.TB, r *certs.Root, name string) *certs.CACerts {
	t.Helper()
	c, err := r.NewCACerts(certs.Options{CommonName: name, Lifetime: caLifetime, Now: now()})
	must(t, err)
	return c
}

func TestRootIsAnAuthority(t *testing.T) {
	t.Parallel()
	r, err := certs.NewRoot(certs.Options{CommonName: "usmesh root", Organization: "Example", Lifetime: rootLifetime, Now: now()})
	must(t, err)
	c := r.Certificate
	if !c.IsCA || !c.BasicConstraintsValid || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || c.MaxPathLen > 0 || c.MaxPathLenZero {
		t.Errorf("CA %v, usage %b, path length %d", c.IsCA, c.KeyUsage, c.MaxPathLen)
	}
	if len(c.SubjectKeyId) == 0 || c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 159 {
		t.Errorf("subject key id %x, serial %s", c.SubjectKeyId, c.SerialNumber)
	}
	if c.Subject.String() != "CN=usmesh root,O=Example" {
		t.Errorf("subject %s", c.Subject)
	}
	if !c.NotAfter.Equal(now().Add(rootLifetime)) || !c.NotBefore.Before(now()) {
		t.Errorf("valid from %s to %s", c.NotBefore, c.NotAfter)
	}
	must(t, c.CheckSignatureFrom(c))
}

func TestIntermediateIsItsOwn(t *testing.T) {
	t.Parallel()
	r := newRoot(t)
	west, err := newCACerts(t, r, "west intermediate").Intermediate()
	must(t, err)
	east, err := newCACerts(t, r, "east intermediate").Intermediate()
	must(t, err)
	if west.SerialNumber.Cmp(east.SerialNumber) == 0 || certs.Fingerprint(west) == certs.Fingerprint(east) ||
		bytes.Equal(west.SubjectKeyId, east.SubjectKeyId) || west.Subject.CommonName == east.Subject.CommonName {
		t.Error("two intermediates share an identity")
	}
	if !west.IsCA || west.MaxPathLen != 0 || !west.MaxPathLenZero {
		t.Errorf("CA %v, path length %d", west.IsCA, west.MaxPathLen)
	}
	if want := x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature; west.KeyUsage != want {
		t.Errorf("key usage %b", west.KeyUsage)
	}
	if !bytes.Equal(west.AuthorityKeyId, r.Certificate.SubjectKeyId) {
		t.Error("the authority key id does not lead to the root")
	}
	if len(west.Subject.Organization) == 0 {
		t.Error("istiod reads the first organization without looking")
	}
}

func TestFilesOfCACerts(t *testing.T) {
	t.Parallel()
	r := newRoot(t)
	c := newCACerts(t, r, "west")
	if string(c.CertChain) != string(c.CACert)+string(c.RootCert) {
		t.Error("cert-chain.pem must be the intermediate and then the root")
	}
	parsed, err := certs.ParseCACerts(c.Data())
	must(t, err)
	must(t, parsed.Check(now()))
	root, err := parsed.RootCertificate()
	must(t, err)
	if !root.Equal(r.Certificate) {
		t.Error("root-cert.pem is not the root")
	}
	if fp := certs.Fingerprint(root); !strings.HasPrefix(fp, "SHA256:") || len(fp) != 7+64 || strings.ToLower(fp[7:]) != fp[7:] {
		t.Errorf("fingerprint %s", fp)
	}
	if certs.Fingerprint(nil) != "none" {
		t.Error("a missing certificate must not crash a report")
	}
}

// TestAlgorithms makes keys under one root; TestIstiodAccepts has roots of each algorithm.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	r := newRoot(t)
	for _, algorithm := range append(certs.Algorithms(), "") {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			c, err := r.NewCACerts(certs.Options{CommonName: "x", Algorithm: algorithm, Lifetime: caLifetime, Now: now()})
			must(t, err)
			must(t, c.Check(now()))
			ca, err := c.Intermediate()
			must(t, err)
			if got := certs.AlgorithmOf(ca.PublicKey); got != algorithm && algorithm != "" {
				t.Errorf("made a key of %s", got)
			}
			first, _, _ := strings.Cut(string(c.CAKey), "\n")
			if first != "-----BEGIN EC PRIVATE KEY-----" && first != "-----BEGIN RSA PRIVATE KEY-----" {
				t.Errorf("ca-key.pem begins with %s", first)
			}
		})
	}
	_, err := certs.NewRoot(certs.Options{CommonName: "x", Algorithm: "DSA", Lifetime: year})
	if err == nil || !strings.Contains(err.Error(), "ECDSA-P256, ECDSA-P384, RSA-2048") {
		t.Errorf("an unknown algorithm: %v", err)
	}
}

func size(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return strings.ReplaceAll(k.Params().Name, "-", "")
	case *rsa.PublicKey:
		return map[int]string{2048: "2048", 3072: "3072", 4096: "4096"}[k.N.BitLen()]
	}
	t.Fatalf("a key of type %T", key)
	return ""
}

func TestOptionsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRoot(t)
	cases := []struct {
		name string
		o    certs.Options
		want []string
	}{
		{"no name", certs.Options{Lifetime: year}, []string{"no common name"}},
		{"a long name", certs.Options{CommonName: strings.Repeat("x", 65), Lifetime: year}, []string{"at most 64"}},
		{"no lifetime", certs.Options{CommonName: "west"}, []string{"west", "lifetime of 0s"}},
		{"outlives the root", certs.Options{CommonName: "west", Lifetime: 11 * year, Now: now()}, []string{`"west"`, "2037-08-29", "2036-08-29", "usmesh root"}},
		{"an expired root", certs.Options{CommonName: "west", Lifetime: year, Now: now().Add(12 * year)}, []string{"2039", "2036-08-29"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := r.NewCACerts(c.o)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
	if _, err := (&certs.Root{}).NewCACerts(certs.Options{CommonName: "west", Lifetime: year}); err == nil {
		t.Error("an empty root signs")
	}
	other := newRoot(t)
	mixed := &certs.Root{Certificate: r.Certificate, Key: other.Key}
	if _, err := mixed.NewCACerts(certs.Options{CommonName: "west", Lifetime: year, Now: now()}); err == nil {
		t.Error("a root with the key of another signs")
	}
}

func TestOpenSSLAgrees(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	r, err := certs.NewRoot(certs.Options{CommonName: "root", Lifetime: rootLifetime})
	must(t, err)
	o := certs.Options{CommonName: "west", Lifetime: caLifetime}
	good, err := r.NewCACerts(o)
	must(t, err)
	dir := t.TempDir()
	write := func(file string, data []byte) string {
		path := filepath.Join(dir, file)
		must(t, os.WriteFile(path, data, 0o600))
		return path
	}
	root, ca, key := write("root", good.RootCert), write("ca", good.CACert), write("key", good.CAKey)
	verify := func(root string) (string, error) {
		out, err := exec.Command(openssl, "verify", "-x509_strict", "-CAfile", root, ca).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(root); err != nil {
		t.Errorf("openssl refuses the chain: %s", out)
	}
	stranger, err := certs.NewRoot(certs.Options{CommonName: "root", Lifetime: rootLifetime})
	must(t, err)
	if out, err := verify(write("other", certs.EncodeCertificates(stranger.Certificate))); err == nil {
		t.Errorf("openssl accepts another root: %s", out)
	}
	fromKey, err := exec.Command(openssl, "pkey", "-in", key, "-pubout").Output()
	must(t, err)
	fromCert, err := exec.Command(openssl, "x509", "-in", ca, "-noout", "-pubkey").Output()
	must(t, err)
	if !bytes.Equal(fromKey, fromCert) {
		t.Error("openssl sees another key")
	}
	text, err := exec.Command(openssl, "x509", "-in", ca, "-noout", "-text").Output()
	must(t, err)
	for _, want := range []string{"CA:TRUE, pathlen:0", "Digital Signature, Certificate Sign, CRL Sign", "Authority Key Identifier"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("openssl does not show %q", want)
		}
	}
}

// BenchmarkThousandIntermediates holds the goal of at most 1 s of CPU for 1,000 intermediates.
func BenchmarkThousandIntermediates(b *testing.B) {
	r := newRoot(b)
	for b.Loop() {
		for range 1000 {
			if _, err := r.NewCACerts(certs.Options{CommonName: "west", Lifetime: caLifetime, Now: now()}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
