// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"strings"
	"time"
)

// alertWait is how long a server gets to end a connection that brought no certificate:
// in TLS 1.3 it says so only after the handshake is over on our side.
const alertWait = 300 * time.Millisecond

// dialTLS makes a handshake without a client certificate and keeps the served chain.
func dialTLS(ctx context.Context, r TLSRequest) TLSReport {
	ctx, cancel := context.WithTimeout(ctx, bounded(r.Timeout))
	defer cancel()
	var rep TLSReport
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		return rep.failed(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{
		ServerName: r.SNI,
		NextProtos: r.ALPN,
		// Nothing is sent over this connection: the chain is looked at, not trusted.
		InsecureSkipVerify:     true, //nolint:gosec // judged by verify
		SessionTicketsDisabled: true,
		VerifyPeerCertificate: func(chain [][]byte, _ [][]*x509.Certificate) error {
			rep.Chain = encode(chain)
			return nil
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return rep.failed(err)
	}
	state := conn.ConnectionState()
	rep.Version, rep.ALPN = tls.VersionName(state.Version), state.NegotiatedProtocol
	if err := conn.SetReadDeadline(time.Now().Add(alertWait)); err != nil {
		return rep.failed(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return rep.failed(err)
	}
	return rep
}

func (r TLSReport) failed(err error) TLSReport {
	r.Error, r.Detail = Classify(err), err.Error()
	return r
}

func encode(chain [][]byte) string {
	var b strings.Builder
	for _, der := range chain {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.String()
}

func bounded(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return 2 * time.Second
	}
	return min(timeout, MaxTimeout)
}
