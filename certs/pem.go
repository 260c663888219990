// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

// ParseCertificates reads all certificates of a PEM file, in order, at least one. It is
// strict, because istiod skips or refuses what is damaged only once it runs: a block that
// is cut off, a block that is no certificate and text after the last one are errors.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	begun := bytes.Count(data, []byte("-----BEGIN "))
	var certs []*x509.Certificate
	rest := data
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if strings.HasSuffix(block.Type, blockPKCS8) {
			return nil, errors.New("a private key where only certificates belong")
		}
		if block.Type != blockCert {
			return nil, fmt.Errorf("a PEM block %q where only certificates belong", diag.Clip(block.Type, shown))
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	switch {
	case len(certs) < begun:
		return nil, fmt.Errorf("%d PEM blocks begin and %d are whole (cut off?)", begun, len(certs))
	case len(certs) == 0:
		return nil, errors.New("no PEM certificate")
	case len(bytes.TrimSpace(rest)) > 0:
		// istiod's ParsePemEncodedCertificateChain fails on it.
		return nil, errors.New("text after the last certificate")
	}
	return certs, nil
}

// EncodeCertificates writes certificates as PEM, in order.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: c.Raw})...)
	}
	return out
}

// Fingerprint is "SHA256:" and the lower-case hexadecimal digest of the certificate's DER.
// A nil certificate has the fingerprint "none".
func Fingerprint(cert *x509.Certificate) string {
	if cert == nil {
		return "none"
	}
	sum := sha256.Sum256(cert.Raw)
	return "SHA256:" + hex.EncodeToString(sum[:])
}

// name is how errors call a certificate: its subject and as much of its fingerprint as
// tells two of the same subject apart.
func name(cert *x509.Certificate) string {
	return fmt.Sprintf("%q (%s)", cert.Subject.String(), Fingerprint(cert)[:len("SHA256:")+12])
}

// shown bounds what errors repeat of text of unknown origin, in bytes.
const shown = 40
