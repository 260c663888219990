// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// got runs the sub-command and decodes what it prints.
func got(t *testing.T, args ...string) (answer struct {
	GetAnswer
	GetError
}, err error) {
	t.Helper()
	var out bytes.Buffer
	err = Main(t.Context(), append([]string{"get"}, args...), func(string) string { return "" }, &out, io.Discard)
	if bad := json.Unmarshal(out.Bytes(), &answer); bad != nil {
		t.Fatalf("%q is no JSON: %v", out.String(), bad)
	}
	return answer, err
}

func TestGetPrintsEveryAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "istio-envoy")
		switch r.URL.Path {
		case "/denied":
			http.Error(w, "RBAC: access denied", http.StatusForbidden)
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", 2*MaxBody))
		case "/binary":
			_, _ = w.Write([]byte{0xff, 0x00, 'a'})
		default:
			_, _ = fmt.Fprint(w, r.Host)
		}
	}))
	defer server.Close()
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/":       {200, "echo-west.example.test"},
		"/denied": {403, "RBAC: access denied\n"},
		"/moved":  {302, `<a href="/elsewhere">Found</a>.` + "\n\n"},
		"/long":   {200, strings.Repeat("x", MaxBody)},
		"/binary": {200, "�\x00a"},
	} {
		answer, err := got(t, "-host", "echo-west.example.test", "-timeout", "20s", server.URL+path)
		if err != nil || answer.Status != want.status || answer.Body != want.body || answer.Headers["Server"] != "istio-envoy" {
			t.Errorf("%s: status %d, %d bytes of body, %v", path, answer.Status, len(answer.Body), err)
		}
	}
}

func TestGetSaysWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hung:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hung)
	for name, tc := range map[string]struct {
		args  []string
		class string
	}{
		"nobody listens": {[]string{"-timeout", "20s", "http://" + free(t)}, ErrRefused},
		"hangs":          {[]string{"-timeout", "50ms", server.URL}, ErrTimeout},
		"no http URL":    {[]string{"https://example.test/"}, ErrOther},
	} {
		answer, err := got(t, tc.args...)
		if err == nil || answer.Class != tc.class || answer.Detail == "" || answer.Status != 0 {
			t.Errorf("%s: %+v, error %v", name, answer, err)
		}
	}
}
