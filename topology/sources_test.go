// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"testing"
)

func TestMirrorHost(t *testing.T) {
	t.Parallel()
	for mirror, want := range map[string]struct {
		host, path string
		plain      bool
	}{
		"":                             {},
		"registry.example.com":         {host: "registry.example.com"},
		"https://registry.example.com": {host: "registry.example.com"},
		"registry.example.com:5000/a/": {host: "registry.example.com:5000", path: "a"},
		"http://10.0.0.1:5000/a/b":     {host: "10.0.0.1:5000", path: "a/b", plain: true},
		"localhost":                    {host: "localhost", plain: true},
		"localhost:5000/a":             {host: "localhost:5000", path: "a", plain: true},
		"127.0.0.2:5000":               {host: "127.0.0.2:5000", plain: true},
		"registry.localhost:5000":      {host: "registry.localhost:5000", plain: true},
		"localhost.example.com":        {host: "localhost.example.com"},
	} {
		topology, err := Parse("t.yaml", []byte(two), "spec.images.mirror="+mirror)
		if err != nil {
			t.Errorf("%s: %v", mirror, err)
			continue
		}
		host, path, plain := topology.MirrorHost()
		if host != want.host || path != want.path || plain != want.plain {
			t.Errorf("%q is %q %q %v, want %+v", mirror, host, path, plain, want)
		}
		if kept := topology.Spec.Images.Mirror; strings.HasSuffix(kept, "/") || strings.HasPrefix(kept, "https:") {
			t.Errorf("%q is kept as %q", mirror, kept)
		}
	}
}

// TestLoginsStayOut: a password that is pasted into an address appears in no message.
func TestLoginsStayOut(t *testing.T) {
	t.Parallel()
	for _, path := range allPaths() {
		path = strings.ReplaceAll(path, "spec.clusters[0]", "spec.clusters[west]")
		for _, before := range []string{"", "https://", "oci://", "a b "} {
			_, err := Parse("t.yaml", []byte(two), path+"="+before+"me:Planted:pw@registry.example.com/x")
			if err != nil && strings.Contains(err.Error(), "Planted") {
				t.Errorf("--set %s tells the password: %v", path, err)
			}
		}
	}
	const image = "a.b/c:1@sha256:0123"
	if got := hideLogins(image); got != image {
		t.Errorf("%s became %s", image, got)
	}
}

// TestALongPasswordIsNotCutInTwo: what is left of it would not look like one any more.
func TestALongPasswordIsNotCutInTwo(t *testing.T) {
	t.Parallel()
	password := strings.Repeat("verysecret", 6)
	if got := shorten("https://mesh:" + password + "@mirror.example"); strings.Contains(got, "secret") {
		t.Errorf("%q", got)
	}
}
