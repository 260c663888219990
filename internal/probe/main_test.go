// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestServeStopsAtOnceThoughRequestsAreUnderWay(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	app, admin := free(t), free(t)
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, Answer{Pod: "p"}, admin, app) }()
	wait(t, func() bool {
		resp, err := http.Get("http://" + app + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	post[RunReport](t, "POST", "http://"+admin+"/runs", RunRequest{URL: "http://" + app, Rate: 50, Duration: time.Minute})
	begun := time.Now()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("a stop is no error: %v", err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("stopping took %s", took)
	}
}

func TestAdminPortMustBeOnLoopback(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":8090", "0.0.0.0:8090", "10.0.0.1:8090", "nonsense"} {
		if err := Serve(t.Context(), Answer{Pod: "p"}, addr); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestMainWantsServeAndAPodName(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	for _, args := range [][]string{nil, {"run"}, {"serve"}, {"serve", "more"}, {"-x"}} {
		if err := Main(t.Context(), args, none, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestModuleBuildsAloneAndMatchesTheMainPackage(t *testing.T) {
	t.Parallel()
	files, err := Module("1.26")
	if err != nil {
		t.Fatal(err)
	}
	onDisk, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(MainPackage), "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if string(onDisk) != string(files[MainPackage+"/main.go"]) {
		t.Error("cmd/meshfed-probe/main.go differs from MainSource: change both")
	}
	dir := t.TempDir()
	for name, data := range files {
		if strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s: tests have no place in the image's build", name)
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "vet", "./...")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("the module does not build by itself: %v\n%s", err, out)
	}
}
