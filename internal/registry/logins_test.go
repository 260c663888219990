// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/test/registryhost"
)

// waiting is a keychain whose helper waits for somebody who never comes.
type waiting struct {
	asked *atomic.Int32
	over  <-chan struct{}
}

func (w waiting) Resolve(authn.Resource) (authn.Authenticator, error) {
	w.asked.Add(1)
	<-w.over
	return authn.Anonymous, nil
}

func wait(t *testing.T) waiting {
	t.Helper()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	return waiting{new(atomic.Int32), over}
}

// home gives this host files of logins below a folder.
func home(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"HOME", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, ".docker")) // an empty one is remembered for the whole process
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "run"))
	for file, text := range files {
		mode := os.FileMode(0o600)
		if strings.HasPrefix(file, "bin/") {
			mode = 0o700
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return dir
}

func auth(pair string) string { return base64.StdEncoding.EncodeToString([]byte(pair)) }

// TestCheckDoesNotWaitForALogin: one that never comes is an error, and is asked for once.
func TestCheckDoesNotWaitForALogin(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	image, _ := push(t, h, "a/b:1", nil)
	keys := wait(t)
	o := Options{Keychain: keys, Answer: 100 * time.Millisecond}.WithLogins()
	for range 2 {
		_, err := Check(t.Context(), []string{image}, o)
		if err == nil || !strings.Contains(err.Error(), "asking registry "+h.Addr+" for a/b:1: ") || !strings.Contains(err.Error(), "login for it does not answer within 100ms") {
			t.Errorf("got %v", err)
		}
		if hints := strings.Join(diag.Hints(err), ""); !strings.Contains(hints, "docker login "+h.Addr) {
			t.Errorf("hints: %q", hints)
		}
	}
	if n := keys.asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Options{Keychain: wait(t), Answer: time.Hour}).Credentials(ctx, h.Addr, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("after it was cancelled: %v", err)
	}
}

// TestHelperThatFailsOrWaits is named, with what to do, and not quoted.
func TestHelperThatFailsOrWaits(t *testing.T) {
	dir := home(t, map[string]string{
		".docker/config.json":          `{"credsStore": "broken", "credHelpers": {"slow.example": "slow"}}`,
		"bin/docker-credential-slow":   "#!/bin/sh\nfor i in $(seq 600); do [ -e \"$HOME/over\" ] && exit 1; sleep 0.1; done\n",
		"bin/docker-credential-broken": "#!/bin/sh\necho token-of-somebody\nexit 1\n",
	})
	for host, want := range map[string]string{"broken.example": "failed", "docker.io": "failed", "slow.example": "does not answer within 1s"} {
		within := time.Second
		if want == "failed" {
			within = time.Hour
		}
		helper := "docker-credential-" + strings.TrimSuffix(strings.Replace(host, "docker.io", "broken.example", 1), ".example")
		_, err := hostLogins(within).login(t.Context(), host, "")
		if err == nil || !strings.Contains(err.Error(), "reading the login for registry "+host) || !strings.Contains(err.Error(), helper) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", host, err)
		}
		if hints := strings.Join(diag.Hints(err), ""); !strings.Contains(hints, "echo "+host+" | "+helper+" get") || strings.Contains(err.Error()+hints, "token-of-somebody") {
			t.Errorf("%s: %v, %q", host, err, hints)
		}
		if host == "slow.example" {
			// The library holds a lock until the helper ends, which is to be before its folder goes.
			if werr := os.WriteFile(filepath.Join(dir, "over"), nil, 0o600); werr != nil {
				t.Fatal(werr)
			}
			if _, werr := authn.DefaultKeychain.Resolve(place{Registry: name.Registry{}}); werr != nil {
				t.Log(werr)
			}
		}
	}
}

// TestLoginForAPartOfARegistry: the most specific one counts, under the name by which nodes find it.
func TestLoginForAPartOfARegistry(t *testing.T) {
	home(t, map[string]string{
		".docker/config.json": fmt.Sprintf(`{"auths": {"both.example": {"auth": %q}}}`, auth("ann:all")),
		"run/containers/auth.json": fmt.Sprintf(`{"auths": {"one.example/team": {"auth": %q}, "one.example/team/inner": {"auth": %q}, "one.example/v2/team": {"auth": %q},
			"both.example/team": {"auth": %q}, "docker.io/team": {"auth": %q}}}`, auth("bob:team"), auth("bob:inner"), auth("bob:v2"), auth("bob:both"), auth("bob:hub")),
	})
	for at, want := range map[string][2]string{
		"one.example/team": {"one.example/team", "bob:team"}, "one.example/team/mesh": {"one.example/team", "bob:team"},
		"one.example/team/inner/mesh": {"one.example/team/inner", "bob:inner"}, "one.example/v2/team": {"one.example", "bob:v2"},
		"both.example/team": {"both.example/team", "bob:both"}, "both.example/other": {"both.example", "ann:all"}, "both.example": {"both.example", "ann:all"},
		"docker.io/team": {"docker.io/team", "bob:hub"}, "one.example/other": {"", ""}, "one.example": {"", ""},
	} {
		host, path, _ := strings.Cut(at, "/")
		got, err := Login(t.Context(), host, path)
		user, password, _ := strings.Cut(want[1], ":")
		text := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q,"auth":%q}}}`, want[0], user, password, auth(want[1]))
		switch {
		case want[0] == "" && !errors.Is(err, ErrNoLogin):
			t.Errorf("%s: %s, %v", at, got, err)
		case want[0] != "" && (err != nil || string(got) != text):
			t.Errorf("%s: %s, %v", at, got, err)
		}
		found, err := Options{}.Credentials(t.Context(), host, path)
		if err != nil || found.Username != user || found.Password != password {
			t.Errorf("%s: to ask with: %s, %v", at, found.Username, err)
		}
	}
}

// TestMissingNodeImage: a mirror that was filled from source has another release than the default.
func TestMissingNodeImage(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	const want = "provider.kind.kubernetes: 1.36.3"
	for image, hinted := range map[string]bool{"/m/kindest/node:v1.36.4": true, "/m/kindest/node:v1.36.3": false, "/m/istio/pilot:1": false} {
		_, err := Check(t.Context(), []string{h.Addr + image}, Options{Keychain: nobody(), Answer: time.Minute})
		hints := strings.Join(diag.Hints(err), "\n")
		if strings.Contains(hints, want) != hinted || !strings.Contains(hints, "`meshfed bundle push "+h.Addr+"/PATH`") || strings.Contains(hints, "--mirror") {
			t.Errorf("%s: %v, hints %q", image, err, hints)
		}
	}
}
