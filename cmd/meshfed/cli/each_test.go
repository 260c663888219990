// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

// shell is what tests run in each cluster; TestMain has taken the host's PATH away.
const shell = "/bin/sh"

func sorted(text string) []string {
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	slices.Sort(all)
	return all
}

func TestEachPrefixesLines(t *testing.T) {
	t.Parallel()
	a, m, _ := newStandIns(t, "west", "east")
	args := []string{shell, "-c", `echo "$CLUSTER $CONTEXT $CTX $NETWORK [$INGRESS$EASTWEST]"; echo oops >&2; printf 'no end {}'; test -f "$KUBECONFIG"`}
	err := a.reportEach(t.Context(), m, "sh", a.runEach(t.Context(), m, args))
	stdout, stderr := a.printed()
	want := []string{"east | east usmesh-east usmesh-east east-network []", "east | no end {}", "west | no end {}", "west | west usmesh-west usmesh-west west-network []"}
	if err != nil || !slices.Equal(sorted(stdout), want) {
		t.Errorf("%v:\n%s", err, stdout)
	}
	if !slices.Equal(sorted(stderr), []string{"east | oops", "west | oops"}) {
		t.Errorf("stderr:\n%s", stderr)
	}
}

func TestEachQuietIsRaw(t *testing.T) {
	t.Parallel()
	a, m, _ := newStandIns(t, "west")
	a.quiet, m.Clusters = true, []string{"west"}
	results := a.runEach(t.Context(), m, []string{shell, "-c", `printf 'a\nb'`})
	if stdout, _ := a.printed(); stdout != "a\nb" || results[0].ExitCode != 0 {
		t.Errorf("%q, %+v", stdout, results)
	}
}

// TestEachFails names the clusters and how the command ended there.
func TestEachFails(t *testing.T) {
	t.Parallel()
	a, m, _ := newStandIns(t, "west", "east")
	run := func(script string) error {
		return a.reportEach(t.Context(), m, "sh", a.runEach(t.Context(), m, []string{shell, "-c", script}))
	}
	err := run(`test $CLUSTER = west || exit 7`)
	if diag.ExitCode(err) != failed || err.Error() != "sh failed for east (exit code 7)" {
		t.Errorf("%v", err)
	}
	if err := run(`kill -9 $$`); err == nil || !strings.Contains(err.Error(), "west (exit code 137), east (exit code 137)") {
		t.Errorf("%v", err)
	}
	a, m, _ = newStandIns(t, "west")
	err = a.reportEach(t.Context(), m, "sh", a.runEach(t.Context(), m, []string{shell, "-c", "echo fine"}))
	if err == nil || !strings.Contains(err.Error(), "sh failed for east (usmesh-east: the cluster does not exist)") || len(diag.Hints(err)) != 1 {
		t.Errorf("%v", err)
	}
	if stdout, _ := a.printed(); stdout != "west | fine\n" {
		t.Errorf("the other cluster's output: %q", stdout)
	}
}

func TestEachAsJSON(t *testing.T) {
	t.Parallel()
	a, m, _ := newStandIns(t, "west")
	a.output = "json"
	script := `echo out; echo err >&2; exit 3`
	err := a.reportEach(t.Context(), m, "sh", a.runEach(t.Context(), m, []string{shell, "-c", script}))
	stdout, stderr := a.printed()
	var object struct {
		Kind, Topology string
		Clusters       []inCluster
	}
	if jerr := json.Unmarshal([]byte(stdout), &object); jerr != nil || stderr != "" || diag.ExitCode(err) != failed || audible(err) != nil {
		t.Fatalf("%v, %v: %s%s", jerr, err, stdout, stderr)
	}
	want := []inCluster{{Cluster: "west", ExitCode: 3, Stdout: "out\n", Stderr: "err\n"}, {Cluster: "east", ExitCode: 1, Error: "usmesh-east: the cluster does not exist",
		Hint: "`meshfed up -f " + example + "` makes what is missing"}}
	if object.Kind != "Each" || object.Topology != "usmesh" || !slices.Equal(object.Clusters, want) {
		t.Errorf("%+v", object)
	}
}

// TestEachInterrupted ends the commands with all that they have started.
func TestEachInterrupted(t *testing.T) {
	t.Parallel()
	a, m, _ := newStandIns(t, "west", "east")
	file := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var results []inCluster
	done := make(chan struct{})
	go func() {
		defer close(done)
		results = a.runEach(ctx, m, []string{shell, "-c", `echo x >>` + file + `; (trap '' TERM; /bin/sleep 60) & wait`})
	}()
	for data := []byte(nil); bytes.Count(data, []byte("x")) < 2; data, _ = os.ReadFile(file) {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	select {
	case <-done:
	case <-time.After(40 * time.Second):
		t.Fatal("it goes on")
	}
	for _, r := range results {
		if r.ExitCode != diag.ExitInterrupted {
			t.Errorf("%+v", r)
		}
	}
}

func TestEachCommandLine(t *testing.T) {
	h := newHost(t)
	call(t, "each").hinted(t, wrong, "each needs a command", "meshfed each -- kubectl get nodes")
	call(t, "each", "--", "nosuch-program").hinted(t, wrong, `there is no command "nosuch-program"`, "need a shell")
	call(t, "each", "--nosuch", "--", shell).hinted(t, wrong, "unknown flag: --nosuch")
	// What follows belongs to the command, also its -o json: the error is in words.
	r := call(t, "each", "--state-dir", h.state, "-f", example, "--", "cat", "-o", "json")
	r.hinted(t, failed, "cat failed for west (usmesh-west: the cluster does not exist), east (usmesh-east: the cluster does not exist)", "meshfed up -f "+example)
	call(t, "each", "--nosuch", "--", "cat", "-o", "json").refused(t, wrong, "error: ")
	h.madeNothing()
}

// TestPrefixedLines: lines of several writers are never mixed, however they are cut.
func TestPrefixedLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var mu sync.Mutex
	var writers sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		writers.Go(func() {
			w := &prefixed{to: locked{&mu, &out}, prefix: name + " | "}
			for range 200 {
				for _, piece := range []string{name, name, name + "\n", name + "\n" + name} {
					_, _ = w.Write([]byte(piece))
				}
			}
			_ = w.Close()
		})
	}
	writers.Wait()
	for _, line := range sorted(out.String()) {
		name := line[:1]
		if rest, ok := strings.CutPrefix(line, name+" | "); !ok || strings.Trim(rest, name) != "" {
			t.Fatalf("mixed: %q", line)
		}
	}
	long := &prefixed{to: locked{&mu, &out}, prefix: ""}
	out.Reset()
	_, _ = long.Write(bytes.Repeat([]byte("x"), lineLimit+1))
	if out.Len() == 0 {
		t.Error("a line without an end is held back for ever")
	}
	kept := &ending{}
	_, _ = kept.Write(bytes.Repeat([]byte("x"), endLimit))
	_, _ = kept.Write([]byte("the end"))
	if len(kept.data) != endLimit || !kept.cut || !bytes.HasSuffix(kept.data, []byte("the end")) {
		t.Errorf("%d bytes, cut %v", len(kept.data), kept.cut)
	}
}
