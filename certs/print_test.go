// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/certs"
)

func TestPrintingNeverShowsAKey(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	c := newCACerts(t, root, "west")
	block, _ := pem.Decode(c.CAKey)
	secrets := []string{
		strings.Split(string(c.CAKey), "\n")[1], // as PEM
		base64.StdEncoding.EncodeToString(c.CAKey)[:60],
		fmt.Sprintf("%x", block.Bytes)[:40],
		strings.Trim(fmt.Sprint(c.CAKey[40:60]), "[]"),
		fmt.Sprintf("%#v", c.CAKey[40:60])[8:60],
		fmt.Sprintf("%v", root.Key)[:40],
		"PRIVATE KEY",
	}
	type holder struct {
		CA   certs.CACerts
		Root *certs.Root
	}
	for _, v := range []any{c, *c, root, *root, holder{*c, root}, &holder{*c, root}, []*certs.CACerts{c}, map[string]any{"c": c, "r": root}} {
		var texts []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			texts = append(texts, fmt.Sprintf(verb, v))
		}
		data, err := json.Marshal(v)
		must(t, err)
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		for _, text := range append(texts, string(data), log.String()) {
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%T shows %q: %s", v, secret, text)
				}
			}
		}
	}
}

func TestPrintingNamesTheCertificate(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	c := newCACerts(t, root, "west")
	ca, err := c.Intermediate()
	must(t, err)
	want := "cacerts CN=west,O=meshfed " + certs.Fingerprint(ca) + " under " + certs.Fingerprint(root.Certificate)
	if got := fmt.Sprintf("%v", c); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	data, err := json.Marshal(c)
	must(t, err)
	if !strings.Contains(string(data), `"notAfter":"2028-08-31T12:00:00Z"`) {
		t.Errorf("got %s", data)
	}
	if got := fmt.Sprint(&certs.CACerts{CAKey: []byte("x")}, certs.Root{}); !strings.Contains(got, "none") {
		t.Errorf("empty values read %q", got)
	}
}
