// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

// Check says everything that is wrong with the four files at the time now: what does not
// parse, a key that belongs to another certificate, a certificate that may not sign, a
// chain that does not lead from ca-cert.pem to a root of root-cert.pem, a path that is too
// long, a certificate that has expired or has not begun. nil means that istiod can sign
// with them and every peer that trusts root-cert.pem accepts what it signs.
func (c *CACerts) Check(now time.Time) error {
	p, err := c.parse()
	if err != nil {
		return fmt.Errorf("checking cacerts: %w", err)
	}
	errs := []error{p.checkKey(), p.checkIntermediate(), p.checkChain()}
	for _, f := range []struct {
		file  string
		certs []*x509.Certificate
	}{{CACertFile, []*x509.Certificate{p.intermediate}}, {CertChainFile, p.chain}, {RootCertFile, p.roots}} {
		for _, cert := range f.certs {
			if f.file == CertChainFile && (cert.Equal(p.intermediate) || contains(p.roots, cert)) {
				continue // said under the file that it comes from
			}
			errs = append(errs, valid(f.file, cert, now))
		}
	}
	for _, root := range p.roots {
		if err := signs(root, 0); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", RootCertFile, name(root), err))
		}
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, p.verify(now))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("checking cacerts: %w", err)
	}
	return nil
}

func (p *parsed) checkKey() error {
	if p.keyFits {
		return nil
	}
	return diag.Hint(fmt.Errorf("%s is not the key of %s %s", CAKeyFile, CACertFile, name(p.intermediate)),
		"put the key that was made together with "+CACertFile+" into "+CAKeyFile)
}

func (p *parsed) checkIntermediate() error {
	if selfSigned(p.intermediate) {
		return diag.Hint(fmt.Errorf("%s %s is a root itself: its key would lie in the cluster", CACertFile, name(p.intermediate)),
			"sign an intermediate for each control plane and keep the root's key out of clusters")
	}
	if err := signs(p.intermediate, 0); err != nil {
		return fmt.Errorf("%s: %s: %w", CACertFile, name(p.intermediate), err)
	}
	return nil
}

// checkChain walks cert-chain.pem: each certificate is signed by the next one, and the
// last one is a root of root-cert.pem or signed by one.
func (p *parsed) checkChain() error {
	if !p.chain[0].Equal(p.intermediate) {
		return diag.Hint(fmt.Errorf("%s begins with %s and not with %s %s",
			CertChainFile, name(p.chain[0]), CACertFile, name(p.intermediate)),
			"write "+CertChainFile+" as: cat "+CACertFile+" "+RootCertFile)
	}
	for i, cert := range p.chain[1:] {
		below := p.chain[i]
		switch {
		case contains(p.chain[:i+1], cert):
			return fmt.Errorf("%s holds %s twice", CertChainFile, name(cert))
		case selfSigned(cert) && !contains(p.roots, cert):
			return otherRoot(cert, p.roots)
		case !issued(cert, below):
			return fmt.Errorf("%s: %s is not signed by %s, which follows it", CertChainFile, name(below), name(cert))
		}
		// below and everything under it are authorities that count for the path length.
		if err := signs(cert, i+1); err != nil {
			return fmt.Errorf("%s: %s: %w", CertChainFile, name(cert), err)
		}
	}
	last := p.chain[len(p.chain)-1]
	if contains(p.roots, last) {
		return nil
	}
	for _, root := range p.roots {
		if issued(root, last) {
			if err := signs(root, len(p.chain)); err != nil {
				return fmt.Errorf("%s: %s: %w", RootCertFile, name(root), err)
			}
			return nil
		}
	}
	return otherRoot(last, p.roots)
}

// otherRoot is the error for a chain that ends elsewhere.
func otherRoot(end *x509.Certificate, roots []*x509.Certificate) error {
	what := "is signed by " + fmt.Sprintf("%q", end.Issuer.String())
	if selfSigned(end) {
		what = "is a root"
	}
	return diag.Hint(fmt.Errorf("%s ends in %s, which %s that is not in %s: that holds %s",
		CertChainFile, name(end), what, RootCertFile, names(roots)),
		"use the root that signed the intermediate: openssl x509 -in "+RootCertFile+" -noout -subject -fingerprint -sha256")
}

// verify lets crypto/x509 have the last word, with what rules it has beyond those above.
func (p *parsed) verify(now time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range p.roots {
		roots.AddCert(c)
	}
	for _, c := range p.chain[1:] {
		between.AddCert(c)
	}
	_, err := p.intermediate.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", CACertFile, name(p.intermediate), err)
	}
	return nil
}

// signs says why a certificate may not sign others with so many authorities below it.
func signs(cert *x509.Certificate, below int) error {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return errors.New("it is no certificate authority (basicConstraints CA:TRUE is missing)")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("it may not sign certificates (keyUsage keyCertSign is missing)")
	case cert.MaxPathLen >= 0 && (cert.MaxPathLen > 0 || cert.MaxPathLenZero) && below > cert.MaxPathLen:
		return fmt.Errorf("its path length is %d and %d authorities are below it", cert.MaxPathLen, below)
	}
	return nil
}

func valid(file string, cert *x509.Certificate, now time.Time) error {
	switch {
	case now.After(cert.NotAfter):
		return fmt.Errorf("%s: %s expired on %s", file, name(cert), date(cert.NotAfter))
	case now.Before(cert.NotBefore):
		return diag.Hint(fmt.Errorf("%s: %s begins on %s, and now is %s", file, name(cert), date(cert.NotBefore), date(now)),
			"compare the clocks of this host and of the one that made the certificate: date -u")
	}
	return nil
}

// issued says whether parent signed child, by key; what parent may do is for signs.
func issued(parent, child *x509.Certificate) bool {
	return bytes.Equal(parent.RawSubject, child.RawIssuer) &&
		parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature) == nil
}

func selfSigned(cert *x509.Certificate) bool { return issued(cert, cert) }

func contains(certs []*x509.Certificate, cert *x509.Certificate) bool {
	for _, c := range certs {
		if c.Equal(cert) {
			return true
		}
	}
	return false
}

func names(certs []*x509.Certificate) string {
	var all string
	for i, c := range certs {
		if i > 0 {
			all += ", "
		}
		all += name(c)
	}
	return all
}
