// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"strings"
	"testing"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/diag"
)

func TestServerURL(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://east-control-plane:6443":  "https://east-control-plane:6443",
		"https://east-control-plane:6443/": "https://east-control-plane:6443",
		"10.89.0.3:6443":                   "https://10.89.0.3:6443",
		"https://[2001:db8::1]:6443":       "https://[2001:db8::1]:6443",
		"https://api.example.com/k8s/east": "https://api.example.com/k8s/east",
	} {
		got, err := federation.ServerURL(address)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", address, got, err, want)
		}
	}
}

func TestServerURLRefusesWhatPeersCanNotUse(t *testing.T) {
	t.Parallel()
	for address, says := range map[string]string{
		"https://127.0.0.1:6443":        "loopback",
		"https://127.8.0.1:6443":        "loopback",
		"https://[::1]:6443":            "loopback",
		"https://[::ffff:127.0.0.1]:1":  "loopback",
		"https://localhost:6443":        "loopback",
		"https://LOCALHOST.:6443":       "loopback",
		"localhost:6443":                "loopback",
		"https://0.0.0.0:6443":          "to listen on",
		"https://[::]:6443":             "to listen on",
		"https://169.254.1.1":           "not reachable",
		"http://10.0.0.1:6443":          "plain http",
		"ftp://10.0.0.1":                "is not https",
		"https://user:planted@10.0.0.1": "must not hold credentials",
		"https://":                      "has no host",
		"":                              "has no host",
		"https://10.0.0.1:6443/?a=b":    "more than a host",
		"https://planted:x%zz@h":        "is no URL",
	} {
		_, err := federation.ServerURL(address)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", address, err, says)
			continue
		}
		if strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: error shows a password: %v", address, err)
		}
		if hints := strings.Join(diag.Hints(err), ""); !strings.Contains(hints, "apiServer.peerAddress") {
			t.Errorf("%s: hint %q", address, hints)
		}
	}
}

func FuzzServerURL(f *testing.F) {
	for _, seed := range []string{"https://h:1", "h:1", "https://[::1]", "%", "http://x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		got, err := federation.ServerURL(address)
		if err != nil {
			return
		}
		if !strings.HasPrefix(got, "https://") {
			t.Errorf("%q became %q", address, got)
		}
		if again, err := federation.ServerURL(got); err != nil || again != got {
			t.Errorf("%q is not stable: %q, %v", got, again, err)
		}
	})
}
