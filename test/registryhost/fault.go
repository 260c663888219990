// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registryhost

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Fault is what a registry does wrong.
type Fault string

// The faults.
const (
	// Hang takes a request and never answers.
	Hang Fault = "hang"
	// Refuse closes the connection without an answer.
	Refuse Fault = "refuse"
	// Lie answers with one byte changed; what it says about digests stays.
	Lie Fault = "lie"
	// Stall sends half of the answer and then nothing.
	Stall Fault = "stall"
	// Deny answers 403.
	Deny Fault = "deny"
	// Fail answers 500.
	Fail Fault = "fail"
)

type fault struct {
	part string
	kind Fault
}

type faults struct {
	mu   sync.Mutex
	list []fault
	// over is closed when faults are cleared: hanging requests end.
	over chan struct{}
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = nil
	if f.over != nil {
		close(f.over)
		f.over = nil
	}
}

func (f *faults) of(r *http.Request) (Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, each := range f.list {
		if strings.Contains(r.URL.Path, each.part) {
			return each.kind, f.over
		}
	}
	return "", nil
}

// Fault makes requests whose path contains part fail from now on, until Mend.
func (h *Host) Fault(part string, kind Fault) {
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	if h.faults.over == nil {
		h.faults.over = make(chan struct{})
	}
	h.faults.list = append(h.faults.list, fault{part, kind})
}

// Mend ends all faults.
func (h *Host) Mend() { h.faults.clear() }

func (h *Host) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, over := h.faults.of(r)
		wait := func() {
			select {
			case <-r.Context().Done():
			case <-over:
			}
		}
		switch kind {
		case Hang:
			wait()
		case Refuse:
			hangUp(w)
		case Deny:
			http.Error(w, `{"errors":[{"code":"DENIED","message":"no"}]}`, http.StatusForbidden)
		case Fail:
			http.Error(w, `{"errors":[{"code":"UNKNOWN","message":"broken"}]}`, http.StatusInternalServerError)
		case Lie, Stall:
			recorded := httptest.NewRecorder()
			next.ServeHTTP(recorded, r)
			for key, values := range recorded.Header() {
				w.Header()[key] = values
			}
			body := recorded.Body.Bytes()
			w.WriteHeader(recorded.Code)
			if kind == Lie {
				_, _ = w.Write(changed(body))
				return
			}
			_, _ = w.Write(body[:len(body)/2])
			_ = http.NewResponseController(w).Flush()
			wait()
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// changed is the same with one byte changed: in JSON a digit of the first digest, so that it
// still can be read.
func changed(body []byte) []byte {
	body = bytes.Clone(body)
	at := len(body) / 2
	const digest = "sha256:"
	if i := bytes.Index(body, []byte(digest)); i >= 0 && body[0] == '{' {
		at = i + len(digest)
		body[at] = map[bool]byte{true: '1', false: '0'}[body[at] == '0']
		return body
	}
	if len(body) > 0 {
		body[at] ^= 1
	}
	return body
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// Unwrap lets a response controller reach the connection.
func (c counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
