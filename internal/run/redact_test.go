// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/run"
)

const (
	plantedJWT    = "eyJhbGciOiJSUzI1NiIsImtpZCI6InBsYW50ZWQifQ.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZC1zaWduYXR1cmU"
	plantedOpaque = "abcdef.0123456789abcdef"
)

// plantedKey returns a private key in PEM and the part of it that must never be seen.
func plantedKey(t testing.TB, blockType string) (armoured, secret string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	armoured = string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
	return armoured, strings.Split(armoured, "\n")[2]
}

func TestRedactHidesWhatIsPlanted(t *testing.T) {
	t.Parallel()
	key, keyPart := plantedKey(t, "EC PRIVATE KEY")
	pkcs8, pkcs8Part := plantedKey(t, "PRIVATE KEY")
	asJSON, err := json.Marshal(map[string]string{"ca-key.pem": key})
	if err != nil {
		t.Fatal(err)
	}
	inSecret := base64.StdEncoding.EncodeToString([]byte(key))
	tokenInSecret := base64.StdEncoding.EncodeToString([]byte(plantedJWT))
	cases := []struct{ name, text, secret string }{
		{"bearer header", "Authorization: Bearer " + plantedOpaque, plantedOpaque},
		{"bearer in text", `curl -H "authorization: bearer ` + plantedOpaque + `"`, plantedOpaque},
		{"basic header", "Authorization: Basic dXNlcjpwbGFudGVk", "dXNlcjpwbGFudGVk"},
		{"JWT alone", "token was " + plantedJWT + ", refused", plantedJWT},
		{"JWT payload", plantedJWT, "eyJzdWIiOiJwbGFudGVkIn0"},
		{"JWT in a Secret", "data:\n  token: " + tokenInSecret, tokenInSecret[:40]},
		{"JWT in base64 in text", "got " + tokenInSecret, tokenInSecret[:40]},
		{"kubeconfig YAML token", "users:\n- name: west\n  user:\n    token: s3cret\n", "s3cret"},
		{"kubeconfig YAML token, quoted", "    token: \"s3cret word\"\n", "s3cret"},
		{"kubeconfig list item", "- token: s3cret", "s3cret"},
		{"kubeconfig JSON token", `{"user":{"token":"s3cret"}}`, "s3cret"},
		{"kubeconfig JSON in a string", `"{\"user\":{\"token\":\"s3cret\"}}"`, "s3cret"},
		{"client key", "    client-key-data: c2VjcmV0\n", "c2VjcmV0"},
		{"client key JSON", `{"client-key-data":"c2VjcmV0"}`, "c2VjcmV0"},
		{"kubeadm join", "kubeadm join 10.0.0.1:6443 --token " + plantedOpaque + " --discovery-token-ca-cert-hash sha256:1", plantedOpaque},
		{"token in running text", "using token=" + plantedOpaque + "&x=1", plantedOpaque},
		{"PEM key", "before\n" + key + "after", keyPart},
		{"PKCS8 key", pkcs8, pkcs8Part},
		{"PEM key in JSON", string(asJSON), keyPart},
		{"PEM key in Go syntax", fmt.Sprintf("%q", key), keyPart},
		{"PEM key without its end", key[:len(key)-40], keyPart},
		{"PEM key without its beginning", key[40:], keyPart},
		{"PEM key in a Secret", "  ca-key.pem: " + inSecret, inSecret[60:100]},
		{"PEM key in a Secret, cut off", "  ca-key.pem: " + inSecret[:150], inSecret[60:100]},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(c.text, c.secret) {
				t.Fatalf("the case plants nothing: %q in %q", c.secret, c.text)
			}
			got := run.Redact(c.text)
			if strings.Contains(got, c.secret) {
				t.Errorf("still there: %s", got)
			}
			if again := run.Redact(got); again != got {
				t.Errorf("not stable:\n%s\n%s", got, again)
			}
		})
	}
}

func TestRedactKeepsWhatPeopleNeed(t *testing.T) {
	t.Parallel()
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bytes.Repeat([]byte("public"), 40)}))
	for _, text := range []string{
		"", "0/1 ready: ImagePullBackOff localhost/istio/pilot:1.31.1",
		"invalid bearer token", "unexpected token: }", "token expired", "tokenRequest: granted 720h",
		cert, "certificate-authority-data: " + base64.StdEncoding.EncodeToString([]byte(cert)),
		"kubectl -n istio-system get secret cacerts", "sha256:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730",
		"west.usmesh.example.com:6443", "waiting for istiod: not within 2m0s; last seen: 0/1",
	} {
		if got := run.Redact(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestErrorsAreRedacted(t *testing.T) {
	t.Parallel()
	key, keyPart := plantedKey(t, "PRIVATE KEY")
	c := shell(`cat; echo "Bearer $1" >&2; exit 1`, plantedJWT)
	c.Stdin = strings.NewReader(key)
	var seen bytes.Buffer
	c.Stdout = &seen
	err := c.Run(t.Context())
	var failed *run.Error
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	for _, text := range []string{err.Error(), failed.Output, failed.Command, fmt.Sprintf("%v %+v", failed, failed), c.String()} {
		if strings.Contains(text, keyPart) || strings.Contains(text, plantedJWT) {
			t.Errorf("shows a secret: %s", text)
		}
	}
	if seen.String() != key {
		t.Error("the caller's own writer must get the output as it is")
	}
}

func TestErrorsAreRedactedWhereTheOutputIsCut(t *testing.T) {
	t.Parallel()
	key, _ := plantedKey(t, "PRIVATE KEY")
	lines := strings.Split(strings.TrimSpace(key), "\n")
	// Plant the key around the place where the kept part begins, at every offset of it.
	for _, pad := range []int{65000, 65300, 65400, 65500, 81700, 81900, 82000} {
		c := shell(`cat; head -c "$1" /dev/zero | tr '\0' x; exit 1`, fmt.Sprint(pad))
		c.Stdin = strings.NewReader(strings.Repeat("noise\n", 20000) + key)
		var failed *run.Error
		if err := c.Run(t.Context()); !errors.As(err, &failed) {
			t.Fatal(err)
		}
		for _, line := range lines[1 : len(lines)-1] {
			if strings.Contains(failed.Output, line) {
				t.Errorf("pad %d: shows %q", pad, line)
			}
		}
	}
}

func TestRedactorSeesWhatIsSplit(t *testing.T) {
	t.Parallel()
	key, keyPart := plantedKey(t, "EC PRIVATE KEY")
	text := "level=debug msg=begin\n" + key + "Bearer " + plantedJWT + "\nlast line without newline"
	for _, size := range []int{1, 7, 64, len(text)} {
		var out bytes.Buffer
		r := run.NewRedactor(&out)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if written, err := r.Write([]byte(rest[:n])); err != nil || written != n {
				t.Fatalf("wrote %d of %d: %v", written, n, err)
			}
			rest = rest[n:]
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		want := "level=debug msg=begin\n[redacted]\nBearer [redacted]\nlast line without newline"
		if out.String() != want {
			t.Errorf("by %d bytes: %q", size, out.String())
		}
		if strings.Contains(out.String(), keyPart) {
			t.Error("shows the key")
		}
	}
}

func TestRedactorPassesLinesOnAtOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := run.NewRedactor(&out)
	_, _ = r.Write([]byte("one\ntw"))
	if out.String() != "one\n" {
		t.Errorf("got %q", out.String())
	}
	// A key that never ends must not hold back the log for ever.
	_, _ = r.Write([]byte("o\n-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("A", 300<<10)))
	if out.String() != "one\ntwo\n[redacted]" {
		t.Errorf("got %d bytes", out.Len())
	}
}

func TestRedactJSON(t *testing.T) {
	t.Parallel()
	key, keyPart := plantedKey(t, "PRIVATE KEY")
	in, err := json.Marshal(struct {
		Kind  string            `json:"kind"`
		Token string            `json:"token"`
		Data  map[string]string `json:"data"`
		List  []string          `json:"list"`
		N     int               `json:"n"`
	}{"Event", "s3cret", map[string]string{"ca-key.pem": key, "note": `say "hi"`}, []string{"Bearer " + plantedJWT, "fine"}, 3})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"Event","token":"[redacted]","data":{"ca-key.pem":"[redacted]\n","note":"say \"hi\""},"list":["Bearer [redacted]","fine"],"n":3}`
	got := string(run.RedactJSON(in))
	if got != want || strings.Contains(got, keyPart) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if plain := `{"a":"b"}`; string(run.RedactJSON([]byte(plain))) != plain {
		t.Error("changed what needs no change")
	}
}

func FuzzRedactJSON(f *testing.F) {
	f.Add(`Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.abc`, "token")
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA", `x"y`)
	f.Fuzz(func(t *testing.T, value, key string) {
		in, err := json.Marshal(map[string]string{key: value})
		if err != nil {
			t.Skip()
		}
		if out := run.RedactJSON(in); !json.Valid(out) {
			t.Errorf("%s became %s", in, out)
		}
	})
}
