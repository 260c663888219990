// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain keeps every test of the package away from the machine that it runs on: from its
// container engine, its state folder and its image bundle, and from registries. A file that a test believes to be
// wrong, and that is not, must not make clusters.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "meshfed-cli-")
	if err == nil {
		err = seclude(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func seclude(dir string) error {
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return err
	}
	refuses := "#!/bin/sh\necho 'this test has no host: see newHost' >&2\nexit 125\n"
	for _, engine := range []string{"podman", "docker", "runc"} {
		if err := os.WriteFile(filepath.Join(bin, engine), []byte(refuses), 0o700); err != nil { //nolint:gosec // it is run
			return err
		}
	}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "MESHFED_") || strings.HasPrefix(name, "XDG_") {
			_ = os.Unsetenv(name)
		}
	}
	// Nothing but loopback, for which proxies are not asked, can be reached through it.
	const nowhere = "http://127.0.0.1:1"
	for name, value := range map[string]string{"PATH": bin, "HOME": dir, "XDG_CACHE_HOME": dir + "/cache",
		"XDG_STATE_HOME": dir + "/state", "CONTAINERS_CONF": dir + "/none.conf",
		"HTTPS_PROXY": nowhere, "https_proxy": nowhere, "HTTP_PROXY": nowhere, "http_proxy": nowhere, "NO_PROXY": "", "no_proxy": ""} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}
