// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// strangerLifetime is how long a certificate of a foreign root is valid: one connection.
const strangerLifetime = 10 * time.Minute

// knock sends one request on a connection of its own. In TLS 1.3 a server refuses a
// certificate only after the handshake is over on our side, so only the answer to a request
// tells.
func knock(ctx context.Context, r KnockRequest) (KnockReport, error) {
	var rep KnockReport
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	served := make(chan string, 1) // a handshake may outlast the request that it is for
	if r.TLS {
		config := &tls.Config{
			ServerName: r.SNI,
			NextProtos: r.ALPN,
			// The request holds nothing, and who serves is what is asked.
			InsecureSkipVerify:     true, //nolint:gosec // judged by verify
			SessionTicketsDisabled: true,
			VerifyConnection: func(state tls.ConnectionState) error {
				served <- identity(state.PeerCertificates[0])
				return nil
			},
		}
		if r.Claim != "" {
			stranger, err := foreign(r.Claim)
			if err != nil {
				return rep, fmt.Errorf("making a certificate of a foreign root: %w", err)
			}
			// Servers say whom they trust; it is sent all the same.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return stranger, nil }
		}
		// The URL says http, so that no protocol is expected of the connection.
		transport.DialContext = (&tls.Dialer{Config: config}).DialContext
	}
	path := "/" + strings.TrimPrefix(r.Path, "/")
	rep.Outcome = request(ctx, &http.Client{Transport: transport, CheckRedirect: stay}, "http://"+r.Addr+path, r.Host, bounded(r.Timeout))
	rep.Outcome.Count = 1
	select {
	case rep.Served = <-served:
	default:
	}
	return rep, nil
}

// identity is the SPIFFE ID of a certificate, or who it was given to.
func identity(c *x509.Certificate) string {
	if len(c.URIs) > 0 {
		return c.URIs[0].String()
	}
	return c.Subject.String()
}

// foreign makes a root and a client certificate under it that claims a URI.
func foreign(claim string) (*tls.Certificate, error) {
	uri, err := url.Parse(claim)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a root of nobody"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-strangerLifetime), NotAfter: now.Add(strangerLifetime),
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), URIs: []*url.URL{uri}, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
	}
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	first, err := x509.CreateCertificate(rand.Reader, root, root, authority.Public(), authority)
	if err != nil {
		return nil, err
	}
	second, err := x509.CreateCertificate(rand.Reader, leaf, root, own.Public(), authority)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{second, first}, PrivateKey: own}, nil
}
