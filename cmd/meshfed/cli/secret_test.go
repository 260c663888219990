// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
)

// planted makes a private key and a token that no other test has. What is looked for is a
// part from their middle, so that output which cuts them is caught too.
func planted(t *testing.T) (key, token string, seen []string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalECPrivateKey(k)
	must(t, err)
	key = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	encode := base64.RawURLEncoding.EncodeToString
	token = encode([]byte(`{"alg":"RS256","kid":"planted"}`)) + "." + encode([]byte(`{"sub":"system:serviceaccount:planted"}`)) + "." + encode(der)
	body := strings.Split(key, "\n")
	return key, token, []string{body[1][10:30], body[2][10:30], strings.Split(token, ".")[1][5:30], strings.Split(token, ".")[2][10:40]}
}

// TestPlantedSecrets: neither values of --set, nor lines of the file, nor what the engine
// says ever carry a key or a token to a screen, a log or another program's arguments.
func TestPlantedSecrets(t *testing.T) {
	h := newHost(t)
	h.bundle()
	key, token, seen := planted(t)
	path := file(t, portless)
	inline := strings.ReplaceAll(key, "\n", `\n`)
	var shown bytes.Buffer
	tell := func(args ...string) {
		for _, format := range []string{"table", "json"} {
			r := h.call(append(args, "-o", format)...)
			shown.WriteString(r.stdout + r.err)
		}
	}
	for _, secret := range []string{key, inline, token} {
		for _, field := range []string{"spec.mesh.mtls", "spec.mesh.id", "spec.certificates.root.keep", "metadata.name", "spec.nosuch",
			"spec.clusters[0].locality.region", "spec.istio.values.pilot.env.SECRET", "spec.clusters[west].istio.values.x"} {
			quoted := `"` + strings.ReplaceAll(secret, "\n", `\n`) + `"`
			for _, verb := range []string{"validate", "plan", "status"} {
				tell(verb, "-f", example, "--set", field+"="+secret)
				tell(verb, "-f", example, "--set", field+"="+quoted)
			}
			r := h.call("plan", "-f", example, "--set", field+"="+quoted, "-o", "commands")
			shown.WriteString(r.stdout + r.err)
			tell("validate", "-f", example, "--set", secret+"=x")
		}
		quoted := `"` + strings.ReplaceAll(secret, "\n", `\n`) + `"`
		for _, text := range []string{
			strings.Replace(least, "name: demo", "name: "+quoted, 1), least + quoted + ": x\n", secret, least + secret,
			strings.Replace(least, "spec: {", "spec: {mesh: {mtls: "+quoted+"}, ", 1),
			strings.Replace(least, "spec: {", "spec: {istio: {values: {a: "+quoted+"}}, ", 1),
		} {
			tell("validate", "-f", file(t, text))
		}
		tell("up", "--verify", secret)
		tell("kubeconfig", "-f", example, secret)
		tell("validate", "-f", example, "--clusters", secret)
		tell("verify", "-f", example, "--suite", secret)
		tell(secret)
		tell("up", secret)
		tell("validate", "-f", secret)
		h.fails("network-inspect", "Error: "+secret)
		tell("up", "-f", path)
		tell("status", "-f", path)
		h.fails("network-inspect", "Error: no such network")
		h.fails("network-create", "Error: "+secret) // met in a step, so that it goes to log and events too
		tell("up", "-f", path)
		tell("up", "-f", path, "-v")
		h.answer("network-create", "")
	}
	if shown.Len() < 10000 {
		t.Fatalf("only %d bytes were shown: the test looks at nothing", shown.Len())
	}
	lookFor(t, "the output", shown.String(), seen)
	lookFor(t, "arguments of podman", strings.Join(h.argv(), "\n"), seen)
	files := 0
	must(t, filepath.WalkDir(h.state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		lookFor(t, path, string(data), seen)
		files++
		return err
	}))
	if files < 3 {
		t.Errorf("only %d files of state were looked at", files)
	}
}

func lookFor(t *testing.T, where, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("%s shows a planted secret: %s", where, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}

func TestRedactedKeepsHints(t *testing.T) {
	t.Parallel()
	_, token, seen := planted(t)
	err := diag.Hint(diag.Hint(errors.New("no "+token), "inner"), "outer "+token)
	clean := redacted(err)
	hints := diag.Hints(clean)
	lookFor(t, "the error", clean.Error()+strings.Join(hints, ""), seen)
	if len(hints) != 2 || !strings.HasPrefix(hints[0], "outer") || hints[1] != "inner" {
		t.Errorf("hints %q", hints)
	}
}
