// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"testing"
)

func TestDialTLSKeepsTheChainThoughTheServerWantsACertificate(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(newApp(Answer{Pod: "echo"}))
			server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: version, MinVersion: version}
			server.Config.ErrorLog = nil
			server.StartTLS()
			t.Cleanup(server.Close)
			rep := dialTLS(t.Context(), TLSRequest{Addr: server.Listener.Addr().String(), SNI: "example.com"})
			block, _ := pem.Decode([]byte(rep.Chain))
			if block == nil {
				t.Fatalf("no chain: %+v", rep)
			}
			got, err := x509.ParseCertificate(block.Bytes)
			if err != nil || !got.Equal(server.Certificate()) {
				t.Errorf("another leaf than the server's: %v", err)
			}
			if rep.Error != ErrTLSAlert {
				t.Errorf("class %q (%s), want %q", rep.Error, rep.Detail, ErrTLSAlert)
			}
		})
	}
}
