// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxInFlight bounds the requests of one run that are without an answer.
const maxInFlight = 256

// maxBody bounds what is read of an answer.
const maxBody = 4 << 10

// check refuses what is out of bounds and fills in defaults.
func (r *RunRequest) check() error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("url %q is not an http URL with a host", r.URL)
	}
	if (r.Count > 0) == (r.Rate > 0) {
		return errors.New("exactly one of count and rate must be positive")
	}
	if r.Rate > 0 && r.Duration <= 0 {
		return errors.New("a rate needs a duration")
	}
	if r.Timeout <= 0 {
		r.Timeout = 2 * time.Second
	}
	if r.Parallel <= 0 {
		r.Parallel = 1
	}
	switch {
	case r.Rate > MaxRate:
		return fmt.Errorf("rate %g is above %g", r.Rate, MaxRate)
	case r.Count > MaxCount:
		return fmt.Errorf("count %d is above %d", r.Count, MaxCount)
	case r.Duration > MaxDuration:
		return fmt.Errorf("duration %s is above %s", r.Duration, MaxDuration)
	case r.Timeout > MaxTimeout:
		return fmt.Errorf("timeout %s is above %s", r.Timeout, MaxTimeout)
	case r.Parallel > MaxParallel:
		return fmt.Errorf("parallel %d is above %d", r.Parallel, MaxParallel)
	}
	return nil
}

// run sends the load into rec until it is done or ctx ends; then it waits for what is
// under way, which ctx has cancelled and which is not counted.
func (r RunRequest) run(ctx context.Context, rec *record) {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: r.Timeout}).DialContext,
		DisableKeepAlives:   r.Fresh,
		MaxIdleConnsPerHost: maxInFlight,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: stay}
	if r.Rate > 0 {
		r.paced(ctx, client, rec)
	} else {
		r.counted(ctx, client, rec)
	}
	rec.finish(time.Now())
}

func (r RunRequest) counted(ctx context.Context, client *http.Client, rec *record) {
	tickets := make(chan struct{}, r.Count)
	for range r.Count {
		tickets <- struct{}{}
	}
	close(tickets)
	end := time.Now().Add(r.Duration)
	var wg sync.WaitGroup
	for range r.Parallel {
		wg.Go(func() {
			for range tickets {
				if ctx.Err() != nil || (r.Duration > 0 && time.Now().After(end)) {
					return
				}
				r.once(ctx, client, rec)
			}
		})
	}
	wg.Wait()
}

// paced keeps the rate whatever the answers do: a slow answer must not hide requests that
// a real caller would have lost.
func (r RunRequest) paced(ctx context.Context, client *http.Client, rec *record) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / r.Rate))
	defer ticker.Stop()
	end := time.NewTimer(r.Duration)
	defer end.Stop()
	slots := make(chan struct{}, maxInFlight)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-ticker.C:
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				r.once(ctx, client, rec)
				<-slots
			})
		default:
			rec.add(Outcome{Error: ErrOverload}, time.Now(), 0)
		}
	}
}

func (r RunRequest) once(ctx context.Context, client *http.Client, rec *record) {
	sent := time.Now()
	done := rec.sent(sent)
	defer done()
	o := request(ctx, client, r.URL, r.Host, r.Timeout)
	if ctx.Err() != nil && !o.OK() {
		return // the run was stopped: not the mesh's fault
	}
	rec.add(o, sent, time.Since(sent))
}

// stay keeps a client from following redirects: what was asked is what is judged.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// request sends one GET and says how it ended.
func request(ctx context.Context, client *http.Client, url, host string, timeout time.Duration) Outcome {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Outcome{Error: ErrOther, Detail: err.Error()}
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		return Outcome{Error: Classify(err), Detail: err.Error()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return Outcome{Error: Classify(err), Detail: err.Error()}
	}
	o := Outcome{Status: resp.StatusCode}
	var a Answer
	if json.Unmarshal(body, &a) == nil && a.Pod != "" {
		o.Pod, o.UID = a.Pod, a.UID
	} else {
		o.Detail = string(body)
	}
	return o
}
