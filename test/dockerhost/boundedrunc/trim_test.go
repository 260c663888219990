// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const process = `{"terminal":false,"rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1024}],"oomScoreAdj":-500,
	"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]},"big":18446744073709551615}`

const trimmed = `{"terminal":false,"capabilities":{"bounding":["CAP_CHOWN"],"effective":[]},"big":18446744073709551615}`

func TestRewrite(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		have, want string
		change     func(object) error
	}{
		"create":            {`{"ociVersion":"1.0.2","process":` + process + `,"linux":{"x":9007199254740993}}`, `{"ociVersion":"1.0.2","process":` + trimmed + `,"linux":{"x":9007199254740993}}`, trimSpec},
		"exec":              {process, trimmed, trimProcess},
		"no process at all": {`{"ociVersion":"1.0.2"}`, `{"ociVersion":"1.0.2"}`, trimSpec},
		"no capabilities":   {`{"process":{"cwd":"/"}}`, `{"process":{"cwd":"/"}}`, trimSpec},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(test.have), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := rewrite(path, test.change); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(canonical(t, test.want), canonical(t, string(got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

// canonical sorts keys and keeps numbers as they are written.
func canonical(t *testing.T, text string) string {
	t.Helper()
	var raw object
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	for key, value := range raw {
		if len(value) > 0 && value[0] == '{' {
			raw[key] = json.RawMessage(canonical(t, string(value)))
		}
	}
	data, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOption(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--bundle", "/b", "id"}, "/b"},
		{[]string{"-b", "/b", "id"}, "/b"},
		{[]string{"--pid-file", "/p", "--bundle=/b=c", "id"}, "/b=c"},
		{[]string{"id"}, ""},
		{[]string{"--bundle"}, ""},
	} {
		if got := option(test.args, "--bundle", "-b"); got != test.want {
			t.Errorf("%q: %q", test.args, got)
		}
	}
}

func TestAble(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{
		"CapBnd:\t000001ffffffffff\n": true, "CapBnd:\t000001fffeffffff\n": false, "Name:\tx\n": true, "CapBnd:\tx\n": true,
	} {
		if got := able(status); got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
}
