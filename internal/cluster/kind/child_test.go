// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	kinderrors "sigs.k8s.io/kind/pkg/errors"

	"github.com/meshfed/meshfed/internal/poll"
)

func TestErrorOfTheChild(t *testing.T) {
	t.Parallel()
	for behave, want := range map[string]string{
		"fail":  "lab-west: making the cluster: kubeadm said no",
		"crash": "exit status 2",
	} {
		t.Run(behave, func(t *testing.T) {
			t.Parallel()
			p, e, _ := fakeProvider(t, behave, nothing()...)
			err := p.Ensure(t.Context(), west())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
			if strings.Contains(strings.Join(e.Stdin(), ""), "owner") {
				t.Error("a cluster that failed was recorded as whole")
			}
			if left, _ := os.ReadDir(p.Dir); len(left) != 0 {
				t.Errorf("files left: %v", left)
			}
		})
	}
}

func TestCancelEndsTheChildAndWhatItStarted(t *testing.T) {
	t.Parallel()
	p, _, seen := fakeProvider(t, "hang", nothing()...)
	ctx, cancel := context.WithCancel(t.Context())
	pid := 0
	started := make(chan error, 1)
	go func() {
		started <- poll.Until(t.Context(), poll.Options{What: "the grandchild", Interval: 10 * time.Millisecond, Deadline: 20 * time.Second},
			func(context.Context) (bool, string, error) {
				states := strings.Join(seen.all(), "\n")
				_, err := fmt.Sscanf(states[max(0, strings.Index(states, "sleeping")):], "sleeping %d", &pid)
				return err == nil, states, nil
			})
		cancel()
	}()
	err := p.Ensure(ctx, west())
	ended := time.Now()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err := gone(t, pid); err != nil {
		t.Error(err)
	}
	if late := time.Since(ended); late > 4*time.Second {
		t.Errorf("the grandchild lived for %s", late)
	}
}

// gone waits until a process is no more, or a zombie that nobody waits for.
func gone(t *testing.T, pid int) error {
	return poll.Until(t.Context(), poll.Options{What: "the process to end", Interval: 20 * time.Millisecond, Deadline: 5 * time.Second},
		func(context.Context) (bool, string, error) {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || bytes.Contains(stat, []byte(") Z ")), string(stat), nil
		})
}

func TestChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := "#!/bin/sh\necho $$ > " + dir + "/pid.new && mv " + dir + "/pid.new " + dir + "/pid\nexec sleep 60\n"
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(order{Spec: west(), Kubeconfig: filepath.Join(dir, "kubeconfig")})
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	child := exec.Command(os.Args[0], ChildArgument, "create")
	child.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	child.Stdin, child.SysProcAttr = read, &syscall.SysProcAttr{Setpgid: true}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := write.Write(append(data, '\n')); err != nil {
		t.Fatal(err)
	}
	pid := 0
	err = poll.Until(t.Context(), poll.Options{What: "podman to be called", Interval: 20 * time.Millisecond, Deadline: 20 * time.Second},
		func(context.Context) (bool, string, error) {
			data, err := os.ReadFile(filepath.Join(dir, "pid"))
			if err != nil {
				return false, "", err
			}
			_, err = fmt.Sscan(string(data), &pid)
			return err == nil, "", err
		})
	if err != nil {
		t.Fatal(err)
	}
	// What the kernel does when the parent is killed.
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("the child ended well")
	}
	if err := gone(t, pid); err != nil {
		t.Error(err)
	}
}

func TestChildMainRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args  []string
		stdin string
		want  string
	}{
		"by hand":  {nil, "", "not by hand"},
		"no order": {[]string{"create"}, "", "reading what to do"},
		"bad verb": {[]string{"explode"}, "{} ", "knows no \"explode\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			defer write.Close()
			if test.stdin == "" {
				_ = write.Close()
			} else if _, err := write.WriteString(test.stdin); err != nil {
				t.Fatal(err)
			}
			var out, log bytes.Buffer
			err = ChildMain(t.Context(), test.args, read, &out, &log)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestLogsWithoutCrictl(t *testing.T) {
	t.Parallel()
	crictl, full := errors.New("podman exec x crictl images failed"), errors.New("disk full")
	nested := kinderrors.NewAggregate([]error{kinderrors.NewAggregate([]error{crictl, full}), crictl})
	for name, test := range map[string]struct {
		err  error
		want int
	}{"none": {nil, 0}, "crictl alone": {crictl, 0}, "another": {full, 1}, "nested": {nested, 1}} {
		if got := withoutCrictl(test.err); len(got) != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		" • Preparing nodes 📦 📦   ...\n":          "preparing nodes",
		" • Starting control-plane 🕹️  ...\n":     "starting control-plane",
		" • Ensuring node image (a/b:c) 🖼  ...\n": "ensuring node image (a/b:c)",
		" ✓ Preparing nodes 📦 \n":                 "",
		"Creating cluster \"x\" ...\n":            "",
		" • \n":                                   "",
	} {
		if got, _ := stateOf(message); got != want {
			t.Errorf("%q: %q", message, got)
		}
	}
}

func TestLogIsRedacted(t *testing.T) {
	t.Parallel()
	var states, log bytes.Buffer
	l := &logger{states: &states, log: &log}
	l.V(3).Info("Authorization: Bearer planted-secret-token-1234567890")
	l.Warnf("%s", " • not a state")
	if strings.Contains(log.String(), "planted-secret") || states.Len() != 0 {
		t.Errorf("log %q, states %q", log.String(), states.String())
	}
}
