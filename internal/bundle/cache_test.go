// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

func TestHashTellsListsApart(t *testing.T) {
	t.Parallel()
	if hash("a", "bc") == hash("ab", "c") || hash("a") == hash("a", "") {
		t.Error("two different lists have the same key")
	}
	first, second := hash("a", "b"), hash("a", "b")
	if first != second {
		t.Error("the same list has two keys")
	}
}

func TestEnsureMakesOnce(t *testing.T) {
	t.Parallel()
	c, made := cache{t.TempDir()}, 0
	a := artefact{kind: "things", key: "k", item: "a thing", make: func(_ context.Context, dir string) error {
		made++
		return os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644)
	}}
	for range 2 {
		if err := c.ensure(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if made != 1 {
		t.Errorf("made %d times, want once", made)
	}
	if _, err := os.Stat(filepath.Join(c.path(a), "f")); err != nil {
		t.Error(err)
	}
}

func TestInterruptedArtefactIsMadeAgain(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	broken := errors.New("stopped half-way")
	a := artefact{kind: "things", key: "k", item: "a thing", make: func(_ context.Context, dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o644); err != nil {
			return err
		}
		return broken
	}}
	if err := c.ensure(t.Context(), a); !errors.Is(err, broken) || !strings.Contains(err.Error(), "building the bundle, a thing") {
		t.Fatalf("got %v", err)
	}
	// A killed process can not tidy up: what it leaves is not taken for complete, and goes.
	left := filepath.Join(c.dir, "things", unfinished+"1")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if c.has(a) {
		t.Error("a half-made artefact counts as made")
	}
	if err := c.clean(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed build left is still there: %v", err)
	}
	a.make = func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o644)
	}
	if err := c.ensure(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(c.path(a), "*"))
	if err != nil || len(found) != 1 || filepath.Base(found[0]) != "whole" {
		t.Errorf("got %v, %v", found, err)
	}
}

func TestCleanKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	old, kept := artefact{kind: "things", key: "old"}, artefact{kind: "things", key: "kept"}
	for _, a := range []artefact{old, kept} {
		// The copies of Go modules are read-only.
		if err := writeFiles(c.path(a), map[string][]byte{"sub/f": nil}); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(c.path(a), "sub"), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.clean(map[string]bool{c.path(kept): true}); err != nil {
		t.Fatal(err)
	}
	if c.has(old) || !c.has(kept) {
		t.Errorf("old there: %v, kept there: %v", c.has(old), c.has(kept))
	}
}

func TestArtefactsExpireWhenNoBuildUsesThem(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	used, recent, old := artefact{kind: "things", key: "used"}, artefact{kind: "things", key: "recent"}, artefact{kind: "things", key: "old"}
	now := time.Now()
	for a, made := range map[*artefact]time.Time{&used: now.Add(-2 * unusedFor), &recent: now.Add(-unusedFor / 2), &old: now.Add(-2 * unusedFor)} {
		if err := writeFiles(c.path(*a), map[string][]byte{"f": nil}); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(c.path(*a), made, made); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time, what is used was used a moment ago
		if err := c.expire(map[string]bool{c.path(used): true}, now); err != nil {
			t.Fatal(err)
		}
		if !c.has(used) || !c.has(recent) || c.has(old) {
			t.Errorf("used there: %v, recent there: %v, old there: %v", c.has(used), c.has(recent), c.has(old))
		}
	}
	if err := c.expire(nil, now); err != nil || !c.has(used) {
		t.Errorf("what was just used is gone (%v)", err)
	}
}

func TestLockRefusesSecondBuild(t *testing.T) {
	t.Parallel()
	c := cache{filepath.Join(t.TempDir(), "new")}
	release, err := c.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.lock(); err == nil || len(diag.Hints(err)) == 0 {
		t.Errorf("second build got %v, want an error with a hint", err)
	}
	release()
	release, err = c.lock()
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestProgressCounts(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	nothing := func(context.Context, string) error { return nil }
	list := []artefact{
		{kind: "x", key: "1", item: "first", weight: 3, make: nothing},
		{kind: "x", key: "2", item: "second", weight: 1, make: nothing},
	}
	var seen []Progress
	for range 2 {
		b := &builder{cache: c, track: newTracker(list, func(p Progress) { p.Elapsed = 0 * time.Second; seen = append(seen, p) })}
		if err := b.lane(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 6 {
		t.Fatalf("got %d events, want 4 of the first build and 2 of the second", len(seen))
	}
	first, last := seen[1], seen[5]
	if !first.Finished || first.Cached || first.Done != 1 || first.Total != 2 || first.WeightDone != 3 || first.WeightTotal != 4 {
		t.Errorf("after the first item: %+v", first)
	}
	if !last.Finished || !last.Cached || last.Done != 2 || last.WeightDone != 4 {
		t.Errorf("at the end of the second build: %+v", last)
	}
}

func TestLaneStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &builder{cache: cache{t.TempDir()}, track: newTracker(nil, nil)}
	err := b.lane(ctx, []artefact{{kind: "x", key: "1", make: func(context.Context, string) error { t.Error("made"); return nil }}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
