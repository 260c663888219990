// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kubetest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"
)

// TestReads is the rule of what only looks.
func TestReads(t *testing.T) {
	t.Parallel()
	for line, reads := range map[Request]bool{
		{"GET", "/api/v1/namespaces/n/pods", "watch=true"}:                                             true,
		{"GET", "/readyz", ""}:                                                                         true,
		{"POST", "/api/v1/namespaces/n/pods/p/portforward", ""}:                                        true,
		{"GET", "/api/v1/namespaces/n/pods/p/portforward", ""}:                                         true,
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ""}:                         true,
		{"POST", "/api/v1/namespaces/n/pods/p/exec", ""}:                                               false,
		{"GET", "/api/v1/namespaces/n/pods/p/exec", "command=id"}:                                      false,
		{"GET", "/api/v1/namespaces/n/pods/p/attach", ""}:                                              false,
		{"GET", "/api/v1/namespaces/n/pods/p:80/proxy/", ""}:                                           false,
		{"PATCH", "/api/v1/namespaces/n/configmaps/c", "dryRun=All"}:                                   false,
		{"POST", "/api/v1/namespaces/n/serviceaccounts/s/token", ""}:                                   false,
		{"POST", "/apis/authentication.k8s.io/v1/tokenreviews", ""}:                                    false,
		{"PUT", "/api/v1/namespaces/n/secrets/s", ""}:                                                  false,
		{"DELETE", "/api/v1/namespaces/n/secrets/s", ""}:                                               false,
		{"POST", "/api/v1/namespaces/n/secrets", ""}:                                                   false,
		{"POST", "/apis/networking.istio.io/v1/namespaces/n/gateways/portforward/x", "dryRun=All"}:     false,
		{"POST", "/apis/networking.istio.io/v1/namespaces/n/gateways/portforward", "a gateway's name"}: false,
	} {
		if got := line.Reads(); got != reads {
			t.Errorf("%s: %v, want %v", line, got, reads)
		}
	}
}

// TestRecord: requests get through, are kept, and those with a token are not the administrator's.
func TestRecord(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 4)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	r := Record(t, &rest.Config{Host: server.URL, BearerToken: "admin", TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	client, err := rest.HTTPClientFor(&rest.Config{Host: r.Server, TLSClientConfig: rest.TLSClientConfig{CAData: r.CA}})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "Bearer reader"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.Server+"/api/v1/nodes?x=y", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", token)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		want := token
		if want == "" {
			want = "Bearer admin"
		}
		if got := <-asked; got != want || answer.StatusCode != http.StatusTeapot {
			t.Errorf("token %q: it came as %q and was answered %s", token, got, answer.Status)
		}
	}
	if others := r.Others(); len(others) != 2 || others[0].String() != "DELETE /api/v1/nodes?x=y" {
		t.Errorf("kept: %v", others)
	}
	if r.Forget(); len(r.Requests()) != 0 {
		t.Error("requests are still there")
	}
}
