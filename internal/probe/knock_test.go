// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestKnocksOnAPortThatWantsACertificate(t *testing.T) {
	t.Parallel()
	const claim = "spiffe://cluster.local/ns/shop/sa/web"
	for name, tc := range map[string]struct {
		want   tls.ClientAuthType
		knock  KnockRequest
		class  string
		words  string
		served bool
		passes int
	}{
		"none, and one is required":         {tls.RequireAnyClientCert, KnockRequest{TLS: true}, ErrTLSAlert, "certificate required", true, 0},
		"foreign, and a known one is":       {tls.RequireAndVerifyClientCert, KnockRequest{TLS: true, Claim: claim}, ErrTLSAlert, "", true, 0},
		"foreign, and any will do":          {tls.RequireAnyClientCert, KnockRequest{TLS: true, Claim: claim}, "", "", true, 1},
		"none, and none is wanted":          {tls.NoClientCert, KnockRequest{TLS: true}, "", "", true, 1},
		"plaintext":                         {tls.NoClientCert, KnockRequest{}, "", "HTTP request to an HTTPS server", false, 0},
		"a protocol that is not understood": {tls.NoClientCert, KnockRequest{TLS: true, ALPN: []string{"istio"}}, ErrTLSAlert, "no application protocol", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(Answer{Pod: "echo"})
			server := httptest.NewUnstartedServer(a)
			server.TLS = &tls.Config{ClientAuth: tc.want, MinVersion: tls.VersionTLS13}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			tc.knock.Addr, tc.knock.Path = server.Listener.Addr().String(), PrefixCounted+"x"
			rep, err := knock(t.Context(), tc.knock)
			if err != nil {
				t.Fatal(err)
			}
			o := rep.Outcome
			if o.Error != tc.class || !strings.Contains(o.Detail, tc.words) || (rep.Served != "") != tc.served || o.Count != 1 {
				t.Errorf("%+v", rep)
			}
			if o.OK() != (tc.passes > 0) || a.counted(Counted{Path: tc.knock.Path}).Count != tc.passes {
				t.Errorf("status %d, %d requests came through, want %d", o.Status, a.counted(Counted{Path: tc.knock.Path}).Count, tc.passes)
			}
		})
	}
}

func TestAPlaintextKnockIsAnswered(t *testing.T) {
	t.Parallel()
	a := newApp(Answer{Pod: "echo"})
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	for _, path := range []string{PrefixCounted + "a", PrefixCounted + "a", PrefixCounted + "b", "/other"} {
		if rep, err := knock(t.Context(), KnockRequest{Addr: server.Listener.Addr().String(), Path: path}); err != nil || !rep.Outcome.OK() || rep.Served != "" {
			t.Errorf("%s: %+v, %v", path, rep, err)
		}
	}
	for path, want := range map[string]int{PrefixCounted + "a": 2, PrefixCounted + "b": 1, "/other": 0} {
		if got := a.counted(Counted{Path: path}).Count; got != want {
			t.Errorf("%s was counted %d times, want %d", path, got, want)
		}
	}
	if rep, err := knock(t.Context(), KnockRequest{Addr: "127.0.0.1:1"}); err != nil || rep.Outcome.Error != ErrRefused {
		t.Errorf("closed port: %+v, %v", rep, err)
	}
}

// TestAKnockGoesNowhereElse: what answers is what is judged, and not where that sends people to.
func TestAKnockGoesNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(newApp(Answer{Pod: "elsewhere"}))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusMovedPermanently))
	t.Cleanup(server.Close)
	if rep, err := knock(t.Context(), KnockRequest{Addr: server.Listener.Addr().String()}); err != nil || rep.Outcome.Status != http.StatusMovedPermanently {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestCountingIsBounded(t *testing.T) {
	t.Parallel()
	a := newApp(Answer{})
	for i := range maxCounted + 10 {
		a.count(PrefixCounted + strings.Repeat("x", i+1))
	}
	if len(a.seen) != maxCounted {
		t.Errorf("%d paths are kept", len(a.seen))
	}
}
