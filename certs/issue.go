// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"

	"go.step.sm/crypto/x509util"
)

// backdate is how long before now a certificate begins, for peers whose clock is behind.
const backdate = time.Minute

// defaultOrganization is the O of subjects. It is never left out: istiod reads the first
// organization of a CA certificate without looking (KeyCertBundle.CertOptions).
const defaultOrganization = "meshfed"

// Options say what a certificate authority looks like.
type Options struct {
	// CommonName of the subject, at most 64 characters; required.
	CommonName string
	// Organization of the subject; empty means meshfed.
	Organization string
	// Algorithm of the key, one of Algorithms; empty means ECDSA-P256.
	Algorithm string
	// Lifetime from Now; required.
	Lifetime time.Duration
	// Now is the time of making; zero means the clock.
	Now time.Time
}

// Root is a root certificate authority.
type Root struct {
	// Certificate is self-signed.
	Certificate *x509.Certificate
	// Key belongs to it.
	Key crypto.Signer
}

// NewRoot makes a root with a new key.
func NewRoot(o Options) (*Root, error) {
	key, template, err := o.prepare()
	if err != nil {
		return nil, fmt.Errorf("making root %q: %w", o.CommonName, err)
	}
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	cert, err := x509util.CreateCertificate(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making root %q: %w", o.CommonName, err)
	}
	return &Root{Certificate: cert, Key: key}, nil
}

// EndsBefore says whether an authority that lives until then would outlive the root.
func (r *Root) EndsBefore(then time.Time) bool { return then.After(r.Certificate.NotAfter) }

// NewCACerts makes the intermediate of one control plane, with a key, serial and subject
// of its own and path length 0: it signs workloads and no further authority. One that
// would outlive the root is refused, as is one under a root whose key does not fit.
func (r *Root) NewCACerts(o Options) (*CACerts, error) {
	c, err := r.newCACerts(o)
	if err != nil {
		return nil, fmt.Errorf("making intermediate %q: %w", o.CommonName, err)
	}
	return c, nil
}

func (r *Root) newCACerts(o Options) (*CACerts, error) {
	if r.Certificate == nil || r.Key == nil {
		return nil, errors.New("the root's certificate or key is missing")
	}
	key, template, err := o.prepare()
	if err != nil {
		return nil, err
	}
	if err := signs(r.Certificate, 1); err != nil {
		return nil, fmt.Errorf("root %s: %w", name(r.Certificate), err)
	}
	if r.EndsBefore(template.NotAfter) {
		return nil, fmt.Errorf("it would end on %s, after its root %s on %s",
			date(template.NotAfter), name(r.Certificate), date(r.Certificate.NotAfter))
	}
	if template.NotBefore.Before(r.Certificate.NotBefore) {
		template.NotBefore = r.Certificate.NotBefore
	}
	template.MaxPathLenZero = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	cert, err := x509util.CreateCertificate(template, r.Certificate, key.Public(), r.Key)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &CACerts{
		CACert:   EncodeCertificates(cert),
		CAKey:    keyPEM,
		RootCert: EncodeCertificates(r.Certificate),
		// As Istio documents it: the intermediate, then its issuers up to the root.
		CertChain: EncodeCertificates(cert, r.Certificate),
	}, nil
}

// prepare makes the key and what root and intermediate have in common; x509util adds the
// serial and the subject key id, crypto/x509 the authority key id.
func (o Options) prepare() (crypto.Signer, *x509.Certificate, error) {
	switch {
	case o.CommonName == "":
		return nil, nil, errors.New("no common name")
	case len(o.CommonName) > 64: // ub-common-name of RFC 5280
		return nil, nil, errors.New("a common name has at most 64 characters")
	case o.Lifetime <= 0:
		return nil, nil, fmt.Errorf("a lifetime of %s", o.Lifetime)
	}
	now := o.Now
	if now.IsZero() {
		now = time.Now()
	}
	organization := o.Organization
	if organization == "" {
		organization = defaultOrganization
	}
	key, err := newKey(o.Algorithm)
	if err != nil {
		return nil, nil, err
	}
	return key, &x509.Certificate{
		Subject:               pkix.Name{CommonName: o.CommonName, Organization: []string{organization}},
		NotBefore:             now.Add(-backdate).UTC(),
		NotAfter:              now.Add(o.Lifetime).UTC(),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}, nil
}

// date is how errors write a time.
func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
