// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/probe"
)

// frozen is an API server that may take requests and never answer, as a stopped process does.
type frozen struct {
	client.Client
	still atomic.Bool
}

func (f *frozen) wait(ctx context.Context) error {
	if !f.still.Load() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *frozen) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.Client.Get(ctx, key, obj, opts...)
}

func (f *frozen) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.Client.List(ctx, list, opts...)
}

func (f *frozen) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.Client.Patch(ctx, obj, patch, opts...)
}

// freezing lets east's API server stop.
func freezing(f *fakeMesh) *frozen {
	east := f.mesh.Clients["east"]
	still := &frozen{Client: east.Client}
	f.mesh.Clients["east"] = &kube.Client{Cluster: east.Cluster, Client: still, Clientset: east.Clientset, REST: east.REST}
	return still
}

// silent says whether a report holds east for a cluster that does not answer.
func silent(r *Report) bool {
	status, _ := r.Tally().Cell(SuiteDiscovery, "east", "west")
	told := false
	for _, m := range r.Members {
		if (m.Silent != "") != (m.Name == "east") {
			return false
		}
	}
	for _, c := range r.Checks {
		told = told || c.Status == Inconclusive && strings.Contains(c.Message, "looking at namespace "+testNamespace)
	}
	return status == Inconclusive && told
}

// TestASilentClusterIsNoticedBetweenRounds: the next round would be an hour later.
func TestASilentClusterIsNoticedBetweenRounds(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	east := freezing(f)
	w := watchMesh(t, f, nil, WatchOptions{Interval: time.Hour, within: time.Second})
	if r := w.next(); r.ExitCode() != ExitPass {
		t.Fatalf("exit code %d: %v", r.ExitCode(), failures(r))
	}
	east.still.Store(true)
	if r := w.next(); !silent(r) {
		t.Errorf("east is not told to be silent: %v", r.Summary)
	}
	east.still.Store(false)
}

// TestASilentClusterIsNoticedWithinARound: a pod is asked when the API server stops, and with it the way
// to the pod.
func TestASilentClusterIsNoticedWithinARound(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	east := freezing(f)
	var stop, asked atomic.Bool
	f.alter = func(c string, r role, _ probe.RunRequest, healthy []probe.Outcome) []probe.Outcome {
		if c == "east" && r == roleCaller && stop.Load() {
			asked.Store(true)
			east.still.Store(true)
			time.Sleep(20 * time.Second) // longer than anything that the watch waits for here
		}
		return healthy
	}
	w := watchMesh(t, f, nil, WatchOptions{Interval: 50 * time.Millisecond, within: time.Second})
	w.next()
	stop.Store(true)
	for begun := time.Now(); ; {
		r := w.next()
		if asked.Load() && silent(r) {
			return
		}
		if time.Since(begun) > 18*time.Second {
			t.Fatalf("east is not told to be silent: %v", r.Summary)
		}
	}
}

func TestHowLongAWatchWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	for interval, want := range map[time.Duration]time.Duration{
		LeastInterval: 10 * time.Second, WatchInterval: 10 * time.Second, 36 * time.Second: 12 * time.Second, 10 * time.Minute: lookWithin,
	} {
		got := answersWithin(interval)
		if got != want {
			t.Errorf("every %s: %s", interval, got)
		}
		// Heartbeat, wait, and as much again for the others: within the interval, or half a minute.
		if deadAfter+heartbeat+got > max(interval, 30*time.Second) {
			t.Errorf("every %s a silent cluster is told too late", interval)
		}
	}
}
