// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	idWest = "spiffe://cluster.local/ns/meshfed-prober/sa/prober-west"
	idEast = "spiffe://cluster.local/ns/meshfed-prober/sa/prober-east"
)

func westOptions(url string) ProberOptions {
	return ProberOptions{Cluster: "west", Peers: []string{"east"}, URL: url, Interval: time.Second,
		Identity: "spiffe://cluster.local/ns/meshfed-prober/sa/prober-%s"}
}

func TestPeerOf(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][2]string{
		"": {},
		"By=" + idEast + ";Hash=abc;Subject=\"\";URI=" + idWest:                   {idEast, idWest},
		"By=spiffe://a;URI=spiffe://b,By=" + idEast + ";URI=" + idWest:            {idEast, idWest}, // the nearest proxy counts
		`By=` + idEast + `;Subject="CN=a,O=b;URI=spiffe://x";URI=` + idWest:       {idEast, idWest},
		`Hash=abc;Subject="never ended;URI=spiffe://x`:                            {},
		`By="` + idEast + `";uri=` + idWest + `;Subject="a\",By=spiffe://quoted"`: {idEast, idWest},
		",":    {},
		"By":   {},
		"By=;": {},
	} {
		presented, caller := peerOf(header)
		if got := [2]string{presented, caller}; got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func FuzzPeerOf(f *testing.F) {
	f.Add(`By=` + idEast + `;Hash=a;Subject="CN=\"a\",O=b";URI=` + idWest + `,By=x`)
	f.Fuzz(func(t *testing.T, header string) {
		presented, caller := peerOf(header)
		if len(presented)+len(caller) > len(header) {
			t.Error("it says more than the header")
		}
	})
}

// sidecar is what Envoy does in front of an application: it says who it has authenticated.
func sidecar(presented, caller string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if presented != "" {
			r.Header.Set(headerPeer, fmt.Sprintf("By=%s;Hash=a;Subject=\"\";URI=%s", presented, caller))
		}
		next.ServeHTTP(w, r)
	})
}

func TestWhatAProberSees(t *testing.T) {
	t.Parallel()
	east := target(Answer{Pod: "prober-1", UID: "u"}, "east")
	for name, test := range map[string]struct {
		handler http.Handler
		want    string
	}{
		"its peer":                    {sidecar(idEast, idWest, east), "answered"},
		"plaintext":                   {east, "plaintext"},
		"another cluster's prober":    {sidecar("spiffe://cluster.local/ns/meshfed-prober/sa/prober-north", idWest, target(Answer{Pod: "p"}, "north")), "identity"},
		"it only says it is east":     {sidecar(idWest, idWest, east), "identity"},
		"a caller that is not us":     {sidecar(idEast, "spiffe://cluster.local/ns/default/sa/default", east), "identity"},
		"503 of a sidecar":            {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no healthy upstream", 503) }), "status"},
		"something that is no prober": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }), "status"},
		"a redirect":                  {http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound), "status"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.handler)
			defer server.Close()
			o := westOptions(server.URL + "/?to=%s")
			if got := o.once(t.Context(), proberClient(), "east"); got.outcome != test.want {
				t.Errorf("outcome %q, want %q", got.outcome, test.want)
			}
		})
	}
	closed := httptest.NewServer(east)
	closed.Close()
	if got := westOptions(closed.URL+"/%s").once(t.Context(), proberClient(), "east"); got.outcome != ErrRefused {
		t.Errorf("nobody there: %q", got.outcome)
	}
}

func TestRowMetrics(t *testing.T) {
	t.Parallel()
	o := westOptions("http://%s/")
	o.Peers = []string{"north", "east", `odd"name`}
	r := newRow(o)
	at := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	answered := seen{outcomeAnswered, ProberAnswer{Answer: Answer{Pod: "prober-1"}, Presented: idEast}}
	r.set("east", answered, at, at.Add(20*time.Millisecond))
	r.set("north", answered, at, at.Add(20*time.Millisecond))
	r.set("north", seen{outcome: ErrTimeout}, at.Add(10*time.Second), at.Add(15*time.Second))
	b := r.text()
	for _, want := range []string{
		`meshfed_check_status{from="west",to="east",suite="prober"} 0`,
		`meshfed_check_status{from="west",to="north",suite="prober"} 3`,
		`meshfed_check_status{from="west",to="odd\"name",suite="prober"} 2`,
		`meshfed_check_last_success_timestamp_seconds{from="west",to="north",suite="prober"} 1.79599680002e+09`,
		`meshfed_prober_request_seconds{from="west",to="north"} 5`,
		`meshfed_prober_asked_timestamp_seconds{from="west",to="north"} 1.795996815e+09`,
		`meshfed_prober_requests_total{from="west",to="north",outcome="answered"} 1`,
		`meshfed_prober_requests_total{from="west",to="north",outcome="timeout"} 1`,
		`meshfed_prober_peer_info{from="west",to="east",identity="` + idEast + `",pod="prober-1"} 1`,
	} {
		if !strings.Contains(b, want+"\n") {
			t.Errorf("%s is missing in\n%s", want, b)
		}
	}
	if strings.Contains(b, `last_success_timestamp_seconds{from="west",to="odd`) {
		t.Error("a peer that never answered has a last success")
	}
}

// stalled is somebody who asks for metrics and does not read them.
type stalled struct {
	http.ResponseWriter
	during func()
}

func (s stalled) Write(p []byte) (int, error) {
	s.during()
	return len(p), nil
}

func TestWhoDoesNotReadMetricsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	r := newRow(westOptions("http://%s/"))
	w := stalled{httptest.NewRecorder(), func() {
		noted := make(chan struct{})
		go func() {
			r.set("east", seen{outcome: ErrRefused}, r.now(), r.now())
			close(noted)
		}()
		select {
		case <-noted:
		case <-time.After(5 * time.Second):
			t.Error("the prober waits for it")
		}
	}}
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
}

func TestProberHealth(t *testing.T) {
	t.Parallel()
	r := newRow(westOptions("http://%s/"))
	code := func() int {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		return w.Code
	}
	if code() != 200 {
		t.Error("unhealthy at the start")
	}
	r.now = func() time.Time { return r.started.Add(14 * time.Second) }
	if code() != 503 {
		t.Error("healthy though no request ended")
	}
	r.set("east", seen{outcome: ErrRefused}, r.now(), r.now())
	if code() != 200 {
		t.Error("a peer that is away makes the prober unhealthy")
	}
}

// TestTwoProbers runs both ends: without a mesh between them, they answer in plaintext and say so.
func TestTwoProbers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	addr := map[string]string{"west": free(t), "east": free(t)}
	metrics := map[string]string{"west": free(t), "east": free(t)}
	ended := make(chan error, 2)
	for from, to := range map[string]string{"west": "east", "east": "west"} {
		o := ProberOptions{Cluster: from, Peers: []string{to}, URL: "http://" + addr[to] + "/%s", Interval: time.Second, Identity: "spiffe://cluster.local/sa/%s"}
		go func() { ended <- RunProber(ctx, Answer{Pod: "prober-" + from}, o, addr[from], metrics[from]) }()
	}
	wait(t, func() bool {
		resp, err := http.Get("http://" + metrics["west"] + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return strings.Contains(string(body), `meshfed_prober_requests_total{from="west",to="east",outcome="plaintext"}`) &&
			strings.Contains(string(body), `meshfed_check_status{from="west",to="east",suite="prober"} 3`) &&
			strings.Contains(string(body), `pod="prober-east"`)
	})
	cancel()
	for range addr {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestProberOptions(t *testing.T) {
	t.Parallel()
	getenv := func(name string) string { return map[string]string{EnvPod: "p"}[name] }
	good := []string{"-cluster", "west", "-url", "http://prober-%s:8080/", "-identity", "spiffe://t/%s"}
	for want, args := range map[string][]string{
		"-cluster says which":   {"-url", "http://prober-%s:8080/", "-identity", "spiffe://t/%s", "east"},
		"no peer of itself":     append(append([]string{}, good...), "east", "west"),
		"no http URL":           {"-cluster", "west", "-url", "https://%s/", "-identity", "spiffe://t/%s", "east"},
		"no SPIFFE ID":          {"-cluster", "west", "-url", "http://%s/", "-identity", "spiffe://t/x", "east"},
		"at least 1s":           append(append([]string{"-interval", "400ms"}, good...), "east"),
		"flag provided but not": {"-nosuch"},
	} {
		err := Main(t.Context(), append([]string{"prober"}, args...), getenv, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", args, err, want)
		}
	}
}
