// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// post sends v to the admin interface and decodes the answer.
func post[T any](t *testing.T, method, url string, v any) T {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %d", method, url, resp.StatusCode)
	}
	var got T
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func start(t *testing.T) (appURL, adminURL string, a *app) {
	t.Helper()
	a = newApp(Answer{Pod: "echo", UID: "u1"})
	application := httptest.NewServer(a)
	t.Cleanup(application.Close)
	control := httptest.NewServer(newAdmin(t.Context(), a))
	t.Cleanup(control.Close)
	return application.URL, control.URL, a
}

func TestCountedRunSendsExactlyThatManyAndSaysWhoAnswered(t *testing.T) {
	t.Parallel()
	app, admin, _ := start(t)
	rep := post[RunReport](t, "POST", admin+"/run", RunRequest{URL: app, Count: 50, Parallel: 4})
	if !rep.Done || rep.Sent != 50 || len(rep.Outcomes) != 1 {
		t.Fatalf("report %+v", rep)
	}
	if o := rep.Outcomes[0]; o.Pod != "echo" || o.UID != "u1" || o.Status != 200 || !o.OK() || o.Count != 50 {
		t.Errorf("outcome %+v", o)
	}
	if rep.P50 <= 0 || rep.P99 < rep.P50 {
		t.Errorf("latencies %s %s", rep.P50, rep.P99)
	}
}

func TestCountedRunEndsAtItsBound(t *testing.T) {
	t.Parallel()
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(100 * time.Millisecond) }))
	t.Cleanup(slow.Close)
	_, admin, _ := start(t)
	rep := post[RunReport](t, "POST", admin+"/run", RunRequest{URL: slow.URL, Count: 1000, Duration: 300 * time.Millisecond})
	if !rep.Done || rep.Sent == 0 || rep.Sent > 10 {
		t.Errorf("sent %d requests in a bound that lets expect 4", rep.Sent)
	}
}

func TestPacedRunShowsAFaultInItsTimeLineAndCanBeStopped(t *testing.T) {
	t.Parallel()
	app, admin, _ := start(t)
	begun := time.Now()
	run := post[RunReport](t, "POST", admin+"/runs", RunRequest{URL: app, Host: "svc", Rate: 100, Duration: time.Minute})
	wait(t, func() bool { return post[RunReport](t, "GET", admin+"/runs/"+run.ID, nil).Sent >= 20 })
	post[Fault](t, "POST", admin+"/fault", Fault{Host: "svc", Status: 500})
	wait(t, func() bool { return len(post[RunReport](t, "GET", admin+"/runs/"+run.ID, nil).Outcomes) == 2 })
	rep := post[RunReport](t, "DELETE", admin+"/runs/"+run.ID, nil)
	if !rep.Done || time.Since(begun) > 30*time.Second {
		t.Fatalf("the run did not stop: %+v", rep)
	}
	good, bad := rep.Outcomes[0], rep.Outcomes[1]
	if good.Status != 200 || bad.Status != 500 || bad.Pod != "echo" {
		t.Fatalf("outcomes %+v", rep.Outcomes)
	}
	if bad.First < good.First {
		t.Errorf("the fault is placed before the first good answer: %+v", rep.Outcomes)
	}
	counted := 0
	for _, b := range rep.Timeline {
		for _, n := range b.Counts {
			counted += n
		}
	}
	if counted != rep.Sent {
		t.Errorf("time line holds %d requests, sent %d", counted, rep.Sent)
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not happen in time")
		}
	}
}

func TestTimeLineIsCompleteUpToTheOldestOpenRequest(t *testing.T) {
	t.Parallel()
	started := time.Now()
	rec := newRecord(started)
	at := func(d time.Duration) time.Time { return started.Add(d) }
	done := rec.sent(at(300 * time.Millisecond))
	rec.sent(at(700 * time.Millisecond))()
	if got := rec.report("", at(time.Second)).Complete; got != 300*time.Millisecond {
		t.Errorf("complete until %s while a request of 300ms is open", got)
	}
	done()
	if got := rec.report("", at(time.Second)).Complete; got != time.Second {
		t.Errorf("complete until %s when nothing is open", got)
	}
}

func TestRunsOutOfBoundsAreRefused(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]RunRequest{
		"no load":        {URL: "http://a"},
		"both kinds":     {URL: "http://a", Count: 1, Rate: 1, Duration: time.Second},
		"no duration":    {URL: "http://a", Rate: 1},
		"rate":           {URL: "http://a", Rate: MaxRate + 1, Duration: time.Second},
		"duration":       {URL: "http://a", Rate: 1, Duration: MaxDuration + 1},
		"count":          {URL: "http://a", Count: MaxCount + 1},
		"parallel":       {URL: "http://a", Count: 1, Parallel: MaxParallel + 1},
		"timeout":        {URL: "http://a", Count: 1, Timeout: MaxTimeout + 1},
		"not http":       {URL: "file:///etc/passwd", Count: 1},
		"no host in url": {URL: "http://", Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := r.check(); err == nil {
				t.Errorf("accepted %+v", r)
			}
		})
	}
}

func TestAdminRefusesUnknownFieldsAndUnknownRuns(t *testing.T) {
	t.Parallel()
	_, admin, _ := start(t)
	resp, err := http.Post(admin+"/run", "application/json", strings.NewReader(`{"url":"http://a","count":1,"shell":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("unknown field: status %d", resp.StatusCode)
	}
	resp, err = http.Get(admin + "/runs/77")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("unknown run: status %d", resp.StatusCode)
	}
}

func TestErrorsAreToldApart(t *testing.T) {
	t.Parallel()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	t.Cleanup(cut.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, tc := range map[string]struct {
		url  string
		want []string
	}{
		"no answer": {slow.URL, []string{ErrTimeout}},
		"closed":    {cut.URL, []string{ErrClosed, ErrReset}},
		"no server": {gone.URL, []string{ErrRefused}},
		"no such":   {"http://nothing.invalid", []string{ErrDNS, ErrTimeout}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := request(context.Background(), http.DefaultClient, tc.url, "", 500*time.Millisecond)
			for _, want := range tc.want {
				if o.Error == want {
					return
				}
			}
			t.Errorf("class %q (%s), want one of %q", o.Error, o.Detail, tc.want)
		})
	}
}
