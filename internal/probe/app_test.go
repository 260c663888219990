// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAppAnswersWithItselfUnlessAFaultIsOnForTheHost(t *testing.T) {
	t.Parallel()
	a := newApp(Answer{Pod: "echo", UID: "u1"})
	if err := a.set(Fault{Host: "Sick.example", Status: 500}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		host, path string
		want       int
	}{
		"another host":         {"well.example:8080", "/", 200},
		"the host":             {"sick.example", "/", 500},
		"the host with a port": {"SICK.example:8080", "/x", 500},
		"readiness":            {"sick.example", "/healthz", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(http.MethodGet, tc.path, nil)
			req.Host = tc.host
			w := httptest.NewRecorder()
			a.ServeHTTP(w, req)
			if w.Code != tc.want {
				t.Errorf("status %d, want %d", w.Code, tc.want)
			}
			var got Answer
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got != (Answer{"echo", "u1"}) {
				t.Errorf("answer %+v, %v", got, err)
			}
		})
	}
}

func TestFaultEndsAndBadFaultsAreRefused(t *testing.T) {
	t.Parallel()
	a := newApp(Answer{Pod: "echo"})
	for _, f := range []Fault{{Status: 503}, {Host: "h", Status: 500}} {
		if err := a.set(f); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.status("h"); got != 500 {
		t.Errorf("the host's own fault must win over the one for all: got %d", got)
	}
	if got := a.status("other"); got != 503 {
		t.Errorf("the fault for all hosts: got %d", got)
	}
	for _, f := range []Fault{{}, {Host: "h"}} {
		if err := a.set(f); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.status("h"); got != 200 {
		t.Errorf("after the end of all faults: got %d", got)
	}
	for _, status := range []int{1, 200, 399, 600} {
		if a.set(Fault{Status: status}) == nil {
			t.Errorf("status %d was accepted as a fault", status)
		}
	}
}
