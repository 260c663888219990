// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

// Keys of the data of Istio's secret cacerts: CACertFile, CAPrivateKeyFile, RootCertFile
// and CertChainFile in istio.io/istio/security/pkg/pki/ca/ca.go.
const (
	CACertFile    = "ca-cert.pem"
	CAKeyFile     = "ca-key.pem"
	RootCertFile  = "root-cert.pem"
	CertChainFile = "cert-chain.pem"
)

// CACerts is the certificate authority of one control plane, as the four PEM files of
// Istio's secret cacerts. It holds a private key and never prints it.
type CACerts struct {
	// CACert is the intermediate's certificate.
	CACert []byte
	// CAKey is the intermediate's private key.
	CAKey []byte
	// RootCert is the root's certificate; several while a root is being rotated.
	RootCert []byte
	// CertChain is the intermediate's certificate, then its issuers up to the root.
	CertChain []byte
}

// Data returns the four files by the keys that istiod reads.
func (c *CACerts) Data() map[string][]byte {
	return map[string][]byte{
		CACertFile: c.CACert, CAKeyFile: c.CAKey, RootCertFile: c.RootCert, CertChainFile: c.CertChain,
	}
}

// ParseCACerts reads the data of a secret cacerts. It names all files that are missing or
// can not be read at once; whether they fit together is for Check. Other keys are ignored.
func ParseCACerts(data map[string][]byte) (*CACerts, error) {
	var missing []string
	for _, file := range []string{CACertFile, CAKeyFile, CertChainFile, RootCertFile} {
		if len(data[file]) == 0 {
			missing = append(missing, file)
		}
	}
	if len(missing) > 0 {
		return nil, diag.Hint(fmt.Errorf("reading cacerts: missing or empty: %s", strings.Join(missing, ", ")),
			"a secret cacerts needs the keys "+strings.Join([]string{CACertFile, CAKeyFile, CertChainFile, RootCertFile}, ", "))
	}
	c := &CACerts{
		CACert: data[CACertFile], CAKey: data[CAKeyFile],
		RootCert: data[RootCertFile], CertChain: data[CertChainFile],
	}
	if _, err := c.parse(); err != nil {
		return nil, fmt.Errorf("reading cacerts: %w", err)
	}
	return c, nil
}

// Intermediate returns the certificate that signs workloads.
func (c *CACerts) Intermediate() (*x509.Certificate, error) {
	certs, err := ParseCertificates(c.CACert)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CACertFile, err)
	}
	if len(certs) > 1 {
		return nil, fmt.Errorf("%s: %d certificates where one belongs; its issuers go into %s", CACertFile, len(certs), CertChainFile)
	}
	return certs[0], nil
}

// RootCertificate returns the root that the chain leads to or, when it leads to none, the
// first one of root-cert.pem.
func (c *CACerts) RootCertificate() (*x509.Certificate, error) {
	roots, err := c.RootCertificates()
	if err != nil {
		return nil, err
	}
	chain, err := ParseCertificates(c.CertChain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CertChainFile, err)
	}
	for i := len(chain) - 1; i >= 0; i-- {
		for _, root := range roots {
			if chain[i].Equal(root) || issued(root, chain[i]) {
				return root, nil
			}
		}
	}
	return roots[0], nil
}

// RootCertificates returns every root of root-cert.pem, in order.
func (c *CACerts) RootCertificates() ([]*x509.Certificate, error) {
	certs, err := ParseCertificates(c.RootCert)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", RootCertFile, err)
	}
	return certs, nil
}

// parsed is CACerts once read.
type parsed struct {
	intermediate *x509.Certificate
	roots, chain []*x509.Certificate
	keyFits      bool
}

// parse reads all four files and reports everything that can not be read.
func (c *CACerts) parse() (*parsed, error) {
	p := &parsed{}
	var errs [4]error
	p.intermediate, errs[0] = c.Intermediate()
	key, err := parseKey(c.CAKey)
	if err != nil {
		errs[1] = fmt.Errorf("%s: %w", CAKeyFile, err)
	}
	if p.chain, err = ParseCertificates(c.CertChain); err != nil {
		errs[2] = fmt.Errorf("%s: %w", CertChainFile, err)
	}
	p.roots, errs[3] = c.RootCertificates()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	p.keyFits = samePublic(key, p.intermediate)
	return p, nil
}
