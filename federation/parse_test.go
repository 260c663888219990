// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/topology"
)

func TestStale(t *testing.T) {
	t.Parallel()
	const issued = 1_800_000_000
	hour := int64(3600)
	for name, tc := range map[string]struct {
		expires int64
		after   time.Duration
		want    string
	}{
		"new":            {issued + 30*hour, 0, ""},
		"half":           {issued + 30*hour, 15 * time.Hour, ""},
		"just a third":   {issued + 30*hour, 20 * time.Hour, ""},
		"less":           {issued + 30*hour, 20*time.Hour + time.Second, "token expires in 10h0m0s"},
		"last minute":    {issued + 30*hour, 30*time.Hour - 50*time.Second, "token expires in 50s"},
		"over":           {issued + 30*hour, 30 * time.Hour, "token expired on 2027-01-16T14:00:00Z"},
		"without an end": {0, 0, "token never expires"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := claims{Issued: issued, Expires: tc.expires}.stale(time.Unix(issued, 0).Add(tc.after))
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// A renewed token is in an old Secret: only the token knows its age.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iat": 1800000000, "exp": 1800007200, "sub": "system:serviceaccount:n:a"}`))
	config, err := access{Cluster: "east", Server: "https://h:6443", Token: "x." + payload + ".PLANTED", CA: []byte("ca")}.kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	s := &corev1.Secret{Data: map[string][]byte{"east": config}}
	s.Annotations = map[string]string{topology.AnnotationCluster: "east"}
	granted, ends, err := TokenLife(s)
	if err != nil || granted.Unix() != 1800000000 || ends.Sub(granted) != 2*time.Hour {
		t.Errorf("%v to %v, %v", granted, ends, err)
	}
	s.Data["east"] = []byte("PLANTED")
	if _, _, err := TokenLife(s); err == nil || strings.Contains(err.Error(), "PLANTED") {
		t.Errorf("%v", err)
	}
}

func FuzzParseToken(f *testing.F) {
	for _, seed := range []string{"", "a.b.c", "..", "eyJ.eyJpYXQiOjF9.x", "x.eyJzdWIiOiJzIiwiZXhwIjotMX0.x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := parseToken(token)
		if err != nil && err.Error() != errNoToken.Error() {
			t.Errorf("the error says more than it should: %v", err)
		}
		_ = c.stale(time.Unix(1, 0))
	})
}

func FuzzParseAccess(f *testing.F) {
	good, err := access{Cluster: "east", Server: "https://h:6443", Token: "t", CA: []byte("ca")}.kubeconfig()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("token: x"))
	f.Add([]byte("clusters: 7"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAccess(data)
		if err != nil {
			if err.Error() != errNoKubeconfig.Error() {
				t.Errorf("the error says more than it should: %v", err)
			}
			return
		}
		if a.Token == "" {
			t.Error("access without a token")
		}
	})
}

func TestAccessSurvivesItsKubeconfig(t *testing.T) {
	t.Parallel()
	want := access{Cluster: "east", Server: "https://h:6443", Token: "PLANTED", CA: []byte("ca")}
	data, err := want.kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseAccess(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, want); strings.Contains(text, "PLANTED") {
			t.Errorf("%s shows the token: %s", verb, text)
		}
	}
	for _, spoil := range []func(string) string{
		func(s string) string {
			return strings.Replace(s, "server:", "insecure-skip-tls-verify: true\n    server:", 1)
		},
		func(s string) string { return strings.Replace(s, "server:", "tls-server-name: x\n    server:", 1) },
		func(s string) string { return strings.Replace(s, "token:", "username:", 1) },
		func(s string) string { return strings.Replace(s, "current-context: east", "current-context: west", 1) },
	} {
		if _, err := parseAccess([]byte(spoil(string(data)))); err == nil {
			t.Errorf("accepted %s", strings.ReplaceAll(spoil(string(data)), "PLANTED", "x"))
		}
	}
}
