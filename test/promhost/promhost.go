// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package promhost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
)

// RequireEnv makes a program that is not there a failure and no skip, when it is set.
const RequireEnv = "MESHFED_TEST_PROMETHEUS"

// Find is the path of prometheus or promtool; without it the test is skipped, or fails where
// RequireEnv is set.
func Find(t testing.TB, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err == nil {
		path := filepath.Join(cache, "meshfed", "prometheus", "usr", "bin", program)
		if info, serr := os.Stat(path); serr == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	if os.Getenv(RequireEnv) != "" {
		t.Fatalf("%s is not there: hack/host.sh test gets it", program)
	}
	t.Skipf("%s is not there: hack/host.sh test gets it", program)
	return ""
}

// Server is a Prometheus that scrapes every second.
type Server struct {
	t   testing.TB
	url string
}

// Start runs Prometheus until the test ends: targets by job are addresses on loopback. The rules are
// evaluated every second, and what they wait for is cut to one second.
func Start(t testing.TB, rules []byte, targets map[string][]string) *Server {
	t.Helper()
	program, dir, address := Find(t, "prometheus"), t.TempDir(), free(t)
	rules = regexp.MustCompile(`(?m)^(\s+for:) .*$`).ReplaceAll(rules, []byte("$1 1s"))
	config := map[string]any{
		"global":     map[string]any{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
		"rule_files": []string{"rules.yaml"},
	}
	var jobs []any
	for job, addresses := range targets {
		jobs = append(jobs, map[string]any{"job_name": job, "static_configs": []any{map[string]any{"targets": addresses}}})
	}
	config["scrape_configs"] = jobs
	text, err := json.Marshal(config) // YAML reads JSON
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"prometheus.yml": text, "rules.yaml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &log, &log, dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", log.String())
		}
	})
	s := &Server{t: t, url: "http://" + address}
	s.Until("to be ready", func() bool { return s.get("/-/ready", nil) == nil })
	return s
}

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Until waits for something, at most a minute.
func (s *Server) Until(what string, done func() bool) {
	s.t.Helper()
	err := poll.Until(s.t.Context(), poll.Options{What: "prometheus " + what, Interval: 200 * time.Millisecond, Deadline: time.Minute},
		func(context.Context) (bool, string, error) { return done(), "not yet", nil })
	if err != nil {
		s.t.Fatal(err)
	}
}

// Firing are the labels of the alerts of one name that fire now.
func (s *Server) Firing(alert string) []map[string]string {
	s.t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := s.get("/api/v1/alerts", &answer); err != nil {
		s.t.Fatal(err)
	}
	var firing []map[string]string
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" && a.Labels["alertname"] == alert {
			firing = append(firing, a.Labels)
		}
	}
	return firing
}

// Samples are the labels of what an expression gives now.
func (s *Server) Samples(expr string) []map[string]string {
	s.t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := s.get("/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		s.t.Fatal(err)
	}
	var all []map[string]string
	for _, r := range answer.Data.Result {
		all = append(all, r.Metric)
	}
	return all
}

func (s *Server) get(path string, answer any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
