// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/certs"
)

// workload is what a proxy holds: a leaf under its cluster's intermediate, sent with the
// chain, and the root that it trusts.
func workload(t *testing.T, c *certs.CACerts) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(c.CACert, c.CAKey)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca, err := c.Intermediate()
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now(), NotAfter: now().Add(time.Hour), DNSNames: []string{"probe"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, pair.PrivateKey)
	must(t, err)
	served := [][]byte{leaf}
	chain, err := certs.ParseCertificates(c.CertChain)
	must(t, err)
	for _, cert := range chain {
		served = append(served, cert.Raw)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.RootCert) {
		t.Fatal("root-cert.pem holds no certificate")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: served, PrivateKey: key}},
		RootCAs:      roots, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
		ServerName: "probe", Time: now, MinVersion: tls.VersionTLS13,
	}
}

// handshake connects a client to a server, each asking for the other's certificate.
func handshake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	near, far := net.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	accepted := make(chan error, 1)
	go func() {
		defer func() { _ = far.Close() }()
		accepted <- tls.Server(far, server).HandshakeContext(ctx)
	}()
	err := tls.Client(near, client).HandshakeContext(ctx)
	if err != nil {
		_ = near.Close()
	}
	return errors.Join(err, <-accepted)
}

func TestClustersUnderOneRootTrustEachOther(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	west, east := workload(t, newCACerts(t, root, "west")), workload(t, newCACerts(t, root, "east"))
	must(t, handshake(t, west, east))
	must(t, handshake(t, east, west))
	other := workload(t, newCACerts(t, newRoot(t), "east"))
	var unknown x509.UnknownAuthorityError
	if err := handshake(t, west, other); !errors.As(err, &unknown) {
		t.Errorf("a cluster under another root: %v", err)
	}
}

// TestRotationKeepsTrust walks the three phases of a new root with one cluster a phase
// ahead of the other: no two neighbours may lose each other, and every phase is sound.
func TestRotationKeepsTrust(t *testing.T) {
	t.Parallel()
	before, after := newRoot(t), newRoot(t)
	phase := func(signer, first, second *certs.Root) *certs.CACerts {
		c := newCACerts(t, signer, "west")
		c.RootCert = certs.EncodeCertificates(first.Certificate)
		if second != nil {
			c.RootCert = certs.EncodeCertificates(first.Certificate, second.Certificate)
		}
		return c
	}
	phases := []*certs.CACerts{
		phase(before, before, nil), phase(before, before, after), phase(after, after, before), phase(after, after, nil),
	}
	for i, c := range phases {
		must(t, c.Check(now()))
		signer := before
		if i >= 2 {
			signer = after
		}
		if root, err := c.RootCertificate(); err != nil || !root.Equal(signer.Certificate) {
			t.Errorf("phase %d: the signing root is not found: %v", i, err)
		}
		if i > 0 {
			must(t, handshake(t, workload(t, c), workload(t, phases[i-1])))
		}
	}
	if handshake(t, workload(t, phases[0]), workload(t, phases[3])) == nil {
		t.Error("the first and the last phase trust each other: the test proves nothing")
	}
}

func TestAnIntermediateMakesNoFurtherAuthority(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	c := newCACerts(t, root, "west")
	pair, err := tls.X509KeyPair(c.CACert, c.CAKey)
	must(t, err)
	ca, err := c.Intermediate()
	must(t, err)
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("a key of type %T", pair.PrivateKey)
	}
	west := &authority{cert: ca, key: key}
	rogue := makeCA(t, "rogue", west, nil).bundle(t, west, &authority{cert: root.Certificate})
	if err := rogue.Check(now()); err == nil {
		t.Error("an authority below a path length of 0 was accepted")
	}
	signed := &certs.Root{Certificate: ca, Key: key}
	if _, err := certs.ParseRoot(c.CACert, c.CAKey); err == nil {
		t.Error("an intermediate was read as a root")
	}
	_, err = signed.NewCACerts(certs.Options{CommonName: "rogue", Lifetime: time.Hour, Now: now()})
	if err == nil || !strings.Contains(err.Error(), "path length is 0") {
		t.Errorf("an intermediate signs an intermediate: %v", err)
	}
}
