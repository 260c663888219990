// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// admin is the control interface:
//
//	POST   /run        RunRequest -> RunReport when it is over
//	POST   /runs       RunRequest -> RunReport with an ID, at once
//	GET    /runs/{id}  what it saw so far
//	DELETE /runs/{id}  ends it, what it saw
//	POST   /fault      Fault
//	POST   /tls        TLSRequest -> TLSReport
//	POST   /knock      KnockRequest -> KnockReport
//	POST   /lookup     Lookup -> Lookup
//	POST   /counted    Counted -> Counted
type admin struct {
	ctx context.Context // of the process: runs outlive the request that started them
	app *app

	mu   sync.Mutex
	next int
	runs map[string]*running
}

type running struct {
	record *record
	cancel context.CancelFunc
	done   chan struct{}
}

func newAdmin(ctx context.Context, a *app) http.Handler {
	ad := &admin{ctx: ctx, app: a, runs: map[string]*running{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /run", serve(ad.run))
	mux.HandleFunc("POST /runs", serve(ad.start))
	mux.HandleFunc("GET /runs/{id}", ad.look)
	mux.HandleFunc("DELETE /runs/{id}", ad.stop)
	mux.HandleFunc("POST /fault", serve(func(_ context.Context, f Fault) (Fault, error) { return f, a.set(f) }))
	mux.HandleFunc("POST /tls", serve(func(ctx context.Context, r TLSRequest) (TLSReport, error) { return dialTLS(ctx, r), nil }))
	mux.HandleFunc("POST /knock", serve(knock))
	mux.HandleFunc("POST /lookup", serve(func(ctx context.Context, l Lookup) (Lookup, error) { return lookup(ctx, l), nil }))
	mux.HandleFunc("POST /counted", serve(func(_ context.Context, c Counted) (Counted, error) { return a.counted(c), nil }))
	return mux
}

// serve decodes a request strictly and encodes what f makes of it.
func serve[Req, Resp any](f func(context.Context, Req) (Resp, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req Req
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&req); err != nil {
			http.Error(w, "reading the request: "+err.Error(), http.StatusBadRequest)
			return
		}
		resp, err := f(r.Context(), req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusOK, resp)
	}
}

func (a *admin) run(ctx context.Context, r RunRequest) (RunReport, error) {
	if err := r.check(); err != nil {
		return RunReport{}, err
	}
	rec := newRecord(time.Now())
	r.run(ctx, rec)
	return rec.report("", time.Now()), nil
}

//nolint:contextcheck // the load outlives the request that starts it
func (a *admin) start(_ context.Context, r RunRequest) (RunReport, error) {
	if err := r.check(); err != nil {
		return RunReport{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.runs) >= MaxRuns {
		return RunReport{}, errors.New("too many runs are under way")
	}
	a.next++
	id := strconv.Itoa(a.next)
	ctx, cancel := context.WithCancel(a.ctx)
	one := &running{record: newRecord(time.Now()), cancel: cancel, done: make(chan struct{})}
	a.runs[id] = one
	go func() {
		defer close(one.done)
		defer cancel()
		r.run(ctx, one.record)
	}()
	return one.record.report(id, time.Now()), nil
}

func (a *admin) find(w http.ResponseWriter, r *http.Request) (string, *running) {
	id := r.PathValue("id")
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.runs[id]
	if one == nil {
		http.Error(w, fmt.Sprintf("no run %q", id), http.StatusNotFound)
	}
	return id, one
}

func (a *admin) look(w http.ResponseWriter, r *http.Request) {
	if id, one := a.find(w, r); one != nil {
		writeJSON(w, http.StatusOK, one.record.report(id, time.Now()))
	}
}

func (a *admin) stop(w http.ResponseWriter, r *http.Request) {
	id, one := a.find(w, r)
	if one == nil {
		return
	}
	one.cancel()
	<-one.done
	a.mu.Lock()
	delete(a.runs, id)
	a.mu.Unlock()
	writeJSON(w, http.StatusOK, one.record.report(id, time.Now()))
}
