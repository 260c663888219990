// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/state"
)

// lockChildEnv makes the test binary hold the lock of the folder that it names until it is killed.
const lockChildEnv = "MESHFED_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockChildEnv); dir != "" {
		if _, err := (state.Dir{Path: dir}).Lock("up"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		// A child that the holder started must not keep the lock when the holder dies.
		sleeper := exec.Command("sleep", "20")
		if err := sleeper.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held", sleeper.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

func TestLockSaysWhoHoldsIt(t *testing.T) {
	t.Parallel()
	d := open(t)
	release, err := d.Lock("up")
	must(t, err)
	_, err = d.Lock("down")
	if !errors.Is(err, state.ErrLocked) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"meshfed up", fmt.Sprintf("process %d", os.Getpid()), "since 20", d.Path} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if want := fmt.Sprintf("kill %d", os.Getpid()); !strings.Contains(strings.Join(diag.Hints(err), ""), want) {
		t.Errorf("hints %q lack %q", diag.Hints(err), want)
	}
	release()
	release()
	again, err := d.Lock("down")
	must(t, err)
	again()
}

func TestLockOfAKilledProcessIsFree(t *testing.T) {
	t.Parallel()
	d := open(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), lockChildEnv+"="+d.Path)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	var sleeper int
	if _, scanErr := fmt.Sscanf(line, "held %d", &sleeper); err != nil || scanErr != nil {
		t.Fatalf("the child says %q: %v", line, err)
	}
	t.Cleanup(func() {
		if p, err := os.FindProcess(sleeper); err == nil {
			_ = p.Kill()
		}
	})
	if _, err := d.Lock("down"); !errors.Is(err, state.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(child.Process.Pid)) {
		t.Errorf("while the child lives: %v", err)
	}
	must(t, child.Process.Kill())
	_ = child.Wait()
	release, err := d.Lock("down")
	if err != nil {
		t.Fatalf("after the child was killed: %v", err)
	}
	release()
}

func TestLockSurvivesRemoval(t *testing.T) {
	t.Parallel()
	d := open(t)
	first, err := d.Lock("down")
	must(t, err)
	must(t, d.Remove(false))
	// A new file is a new lock; the old holder is on its way out and touches nothing more.
	second, err := d.Lock("up")
	must(t, err)
	first()
	if _, err := d.Lock("status"); !errors.Is(err, state.ErrLocked) {
		t.Errorf("the end of the first holder freed the lock of the second: %v", err)
	}
	second()
}

func TestLockIsExclusive(t *testing.T) {
	t.Parallel()
	d := open(t)
	var held, got atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				release, err := d.Lock("up")
				if err != nil {
					if !errors.Is(err, state.ErrLocked) {
						t.Error(err)
					}
					continue
				}
				got.Add(1)
				if held.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				held.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
	if got.Load() == 0 {
		t.Error("nobody ever held the lock")
	}
}
