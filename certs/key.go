// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.step.sm/crypto/keyutil"

	"github.com/meshfed/meshfed/internal/diag"
)

// Algorithms of keys, by the names of the topology file. All of them are accepted by
// istiod as ca-key.pem.
const (
	ECDSAP256 = "ECDSA-P256"
	ECDSAP384 = "ECDSA-P384"
	RSA2048   = "RSA-2048"
	RSA3072   = "RSA-3072"
	RSA4096   = "RSA-4096"
)

// PEM block types that istiod accepts for ca-key.pem: ParsePemEncodedKey in
// istio.io/istio/security/pkg/pki/util/crypto.go. The block decides the parser, so a PKCS#8
// key under "EC PRIVATE KEY" is refused there and here.
const (
	blockEC    = "EC PRIVATE KEY"
	blockRSA   = "RSA PRIVATE KEY"
	blockPKCS8 = "PRIVATE KEY"
	blockCert  = "CERTIFICATE"
)

// Algorithms lists the names that Options.Algorithm accepts, the default first.
func Algorithms() []string {
	return []string{ECDSAP256, ECDSAP384, RSA2048, RSA3072, RSA4096}
}

// newKey makes a key; an empty algorithm means ECDSA-P256.
func newKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "", ECDSAP256:
		return keyutil.GenerateSigner("EC", "P-256", 0)
	case ECDSAP384:
		return keyutil.GenerateSigner("EC", "P-384", 0)
	case RSA2048:
		return keyutil.GenerateSigner("RSA", "", 2048)
	case RSA3072:
		return keyutil.GenerateSigner("RSA", "", 3072)
	case RSA4096:
		return keyutil.GenerateSigner("RSA", "", 4096)
	}
	return nil, fmt.Errorf("unknown algorithm %q (one of %s)", algorithm, strings.Join(Algorithms(), ", "))
}

// encodeKey writes ECDSA keys as SEC 1, as istiod's own generator does, and RSA keys as PKCS#1.
func encodeKey(key crypto.Signer) ([]byte, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: blockEC, Bytes: der}), nil
	case *rsa.PrivateKey:
		return pem.EncodeToMemory(&pem.Block{Type: blockRSA, Bytes: x509.MarshalPKCS1PrivateKey(k)}), nil
	}
	return nil, fmt.Errorf("a key of type %T can not be written as PEM", key)
}

// parseKey reads the first block, as istiod does. Its errors never quote the input.
func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no whole PEM block (cut off?)")
	}
	var key any
	var err error
	switch block.Type {
	case blockEC:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case blockRSA:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case blockPKCS8:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the key is encrypted, which istiod can not read")
	default:
		return nil, fmt.Errorf("a PEM block %q where a private key belongs", diag.Clip(block.Type, shown))
	}
	if err != nil {
		return nil, fmt.Errorf("a damaged %s: %w", block.Type, err)
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("a key of type %T, where istiod takes ECDSA and RSA", key)
}

// samePublic says whether a private key belongs to a certificate.
func samePublic(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// AlgorithmOf names the algorithm of a public key as a topology does; empty for one that no
// topology can ask for.
func AlgorithmOf(public any) string {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA-P" + strconv.Itoa(key.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return "RSA-" + strconv.Itoa(key.N.BitLen())
	}
	return ""
}
