// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// app is the application: it says who answered, unless a fault is on.
type app struct {
	self Answer

	mu     sync.RWMutex
	faults map[string]int
	seen   map[string]int // requests by path, below PrefixCounted only
}

// maxCounted bounds the paths that are counted: anybody may ask for them.
const maxCounted = 4096

func newApp(self Answer) *app {
	return &app{self: self, faults: map[string]int{}, seen: map[string]int{}}
}

// count notes that a request has come as far as the application, whoever let it.
func (a *app) count(path string) {
	if !strings.HasPrefix(path, PrefixCounted) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen[path] > 0 || len(a.seen) < maxCounted {
		a.seen[path]++
	}
}

func (a *app) counted(c Counted) Counted {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c.Count = a.seen[c.Path]
	return c
}

// set switches one fault on or, with status 0, off.
func (a *app) set(f Fault) error {
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("fault status %d is not within 400 to 599", f.Status)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.Status == 0 {
		delete(a.faults, strings.ToLower(f.Host))
		return nil
	}
	a.faults[strings.ToLower(f.Host)] = f.Status
	return nil
}

// status is what a request for host is answered with.
func (a *app) status(host string) int {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if s, ok := a.faults[strings.ToLower(host)]; ok {
		return s
	}
	if s, ok := a.faults[""]; ok {
		return s
	}
	return http.StatusOK
}

// ServeHTTP answers every path; /healthz is the readiness endpoint and knows no faults,
// or a fault would also take the pod out of its Services.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.count(r.URL.Path)
	status := http.StatusOK
	if r.URL.Path != "/healthz" {
		status = a.status(r.Host)
	}
	writeJSON(w, status, a.self)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the caller has gone: nothing to be done
}
