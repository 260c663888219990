// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/state"
)

const planted = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZA"

func TestRunFolderKeepsWhatHappened(t *testing.T) {
	t.Parallel()
	d := open(t)
	r, err := d.NewRun("up")
	must(t, err)
	start := time.Now().Truncate(time.Microsecond)
	if name := filepath.Base(r.Path); !regexp.MustCompile(`^\d{8}T\d{6}Z-up$`).MatchString(name) || filepath.Dir(r.Path) != filepath.Join(d.Path, "runs") {
		t.Errorf("run folder %s", r.Path)
	}
	slog.New(slog.NewTextHandler(r.Log(), nil)).Info("asking", "header", "Bearer "+planted)
	must(t, r.Event(map[string]any{"kind": "StepDone", "note": "token: " + planted}))
	must(t, r.Event(map[string]any{"kind": "RunDone"}))
	must(t, r.Trace().Complete("west", "istio@west", "step", start, 1500*time.Millisecond, map[string]any{"token": planted}))
	must(t, r.Trace().Complete("east", "istio@east", "", start.Add(time.Second), time.Second, nil))
	must(t, r.Close())
	must(t, r.Close())

	log, err := os.ReadFile(r.LogPath())
	must(t, err)
	if !strings.Contains(string(log), "msg=asking") {
		t.Errorf("log: %s", log)
	}
	events, err := os.ReadFile(filepath.Join(r.Path, "events.jsonl"))
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(events)), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if len(lines) != 2 || !strings.Contains(lines[1], "RunDone") {
		t.Errorf("events: %s", events)
	}
	trace, err := os.ReadFile(filepath.Join(r.Path, "trace.json"))
	must(t, err)
	var spans []struct {
		Name, Ph string
		TS, Dur  int64
		TID      int
	}
	must(t, json.Unmarshal(trace, &spans))
	if len(spans) != 4 || spans[1].Ph != "X" || spans[1].Dur != 1_500_000 || spans[3].TS-spans[1].TS != 1_000_000 || spans[1].TID == spans[3].TID {
		t.Errorf("trace: %s", trace)
	}
	for _, text := range []string{string(log), string(events), string(trace)} {
		if strings.Contains(text, planted) {
			t.Errorf("shows the token: %s", text)
		}
	}
	for _, f := range []string{"log", "events.jsonl", "trace.json"} {
		if got := mode(t, filepath.Join(r.Path, f)); got != 0o600 {
			t.Errorf("%s is %04o", f, got)
		}
	}
}

func TestTraceOfAnEmptyRunIsValid(t *testing.T) {
	t.Parallel()
	r, err := open(t).NewRun("plan")
	must(t, err)
	must(t, r.Close())
	trace, err := os.ReadFile(filepath.Join(r.Path, "trace.json"))
	must(t, err)
	if strings.TrimSpace(string(trace)) != "[]" {
		t.Errorf("got %s", trace)
	}
}

func TestTraceOfAKilledRunLacksOnlyTheBracket(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	start := time.Now()
	trace := state.NewTrace(&out, start)
	must(t, trace.Complete("west", "a", "", start, time.Second, nil))
	if !json.Valid([]byte(out.String() + "]")) {
		t.Errorf("got %s", out.String())
	}
}

func TestRunFolderTakesManyWritersAtOnce(t *testing.T) {
	t.Parallel()
	r, err := open(t).NewRun("up")
	must(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				_, _ = fmt.Fprintf(r.Log(), "writer %d line %d\n", i, n)
				if err := r.Event(map[string]int{"writer": i, "n": n}); err != nil {
					t.Error(err)
				}
				if err := r.Trace().Complete("c", "s", "", time.Now(), time.Millisecond, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, r.Close())
	for _, f := range []string{"log", "events.jsonl"} {
		data, err := os.ReadFile(filepath.Join(r.Path, f))
		must(t, err)
		if n := strings.Count(string(data), "\n"); n != 400 {
			t.Errorf("%s has %d lines", f, n)
		}
	}
	data, err := os.ReadFile(filepath.Join(r.Path, "trace.json"))
	must(t, err)
	if !json.Valid(data) {
		t.Error("the trace is torn")
	}
}

func TestTheLast20RunsStay(t *testing.T) {
	t.Parallel()
	d := open(t)
	runs := filepath.Join(d.Path, "runs")
	for i := range 24 {
		must(t, os.MkdirAll(filepath.Join(runs, fmt.Sprintf("202501%02dT120000Z-up", i+1)), 0o700))
	}
	must(t, os.MkdirAll(filepath.Join(runs, "notes-of-the-user"), 0o700))
	first, err := d.NewRun("verify")
	must(t, err)
	second, err := d.NewRun("verify")
	must(t, err)
	if first.Path == second.Path {
		t.Error("two runs of one second share a folder")
	}
	must(t, first.Close())
	must(t, second.Close())
	entries, err := os.ReadDir(runs)
	must(t, err)
	if len(entries) != 21 {
		t.Errorf("%d folders", len(entries))
	}
	for _, gone := range []string{"20250106T120000Z-up"} {
		if _, err := os.Stat(filepath.Join(runs, gone)); err == nil {
			t.Errorf("%s must go", gone)
		}
	}
	for _, kept := range []string{"notes-of-the-user", "20250107T120000Z-up", filepath.Base(first.Path), filepath.Base(second.Path)} {
		if _, err := os.Stat(filepath.Join(runs, kept)); err != nil {
			t.Errorf("%s must stay: %v", kept, err)
		}
	}
}
