// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

func TestInit(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("Shop 7", 0o700))
	for _, test := range []struct{ args, path, name string }{
		{"init", "topology.yaml", ""},
		{"init demo.yaml", "demo.yaml", "demo"},
		{"init -f other.yaml", "other.yaml", "other"},
		{"init Two_Words.yml", "Two_Words.yml", "two-words"},
	} {
		r := call(t, strings.Fields(test.args)...)
		if r.code != 0 || r.err != "" || !strings.Contains(r.stdout, test.path) || !strings.Contains(r.stdout, "meshfed up -f "+test.path) {
			t.Errorf("%s: %+v", test.args, r)
		}
		checked := call(t, "validate", "-f", test.path)
		if checked.code != 0 || !strings.Contains(checked.stdout, "topology "+test.name) {
			t.Errorf("%s: what it wrote: %+v", test.args, checked)
		}
		before, err := os.ReadFile(test.path)
		must(t, err)
		call(t, strings.Fields(test.args)...).hinted(t, wrong, test.path+" is there already, and init never overwrites", "- for standard output")
		if after, err := os.ReadFile(test.path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s changed the file: %v", test.args, err)
		}
	}
	t.Chdir("Shop 7")
	if r := call(t, "init"); !strings.Contains(r.stdout, "topology shop-7;") {
		t.Errorf("the name of its folder: %+v", r)
	}
	call(t, "init", "nosuch/x.yaml").hinted(t, wrong, "there is no folder nosuch", "mkdir -p nosuch")
	call(t, "init", "a.yaml", "b.yaml").hinted(t, wrong, "init writes one file")
	call(t, "init", "a.yaml", "-f", "b.yaml").hinted(t, wrong, "two files are named")
	var object struct{ Kind, Path string }
	if r := call(t, "init", "json.yaml", "-o", "json"); json.Unmarshal([]byte(r.stdout), &object) != nil || object.Kind != "File" || object.Path != "json.yaml" {
		t.Errorf("%+v", r)
	}
}

// TestInitWritesTheSchema beside the file, replaces one of ours, and leaves others alone.
func TestInitWritesTheSchema(t *testing.T) {
	t.Chdir(t.TempDir())
	schema := func() string {
		data, err := os.ReadFile(topology.SchemaFile)
		must(t, err)
		return string(data)
	}
	want := call(t, "schema").stdout
	if r := call(t, "init", "a.yaml"); r.code != 0 || schema() != want {
		t.Errorf("%+v", r)
	}
	must(t, os.WriteFile(topology.SchemaFile, []byte(`{"$id": "`+topology.SchemaID+`", "title": "of an older release"}`), 0o600))
	if r := call(t, "init", "b.yaml"); r.code != 0 || schema() != want {
		t.Errorf("an older one stays: %+v", r)
	}
	must(t, os.WriteFile(topology.SchemaFile, []byte("mine"), 0o600))
	if r := call(t, "init", "c.yaml"); r.code != 0 || schema() != "mine" || !strings.Contains(r.err, "is left alone") {
		t.Errorf("%+v", r)
	}
	if left, err := filepath.Glob(".*"); err != nil || len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

// TestInitToStdout: a topology that goes through a pipe.
func TestInitToStdout(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "json"} {
		r := call(t, "init", "-", "-o", format)
		if r.code != 0 || r.err != "" || format == "json" && !json.Valid([]byte(r.stdout)) {
			t.Errorf("%+v", r)
		}
		if checked := callInput(t, r.stdout, "validate", "-f", "-"); checked.code != 0 {
			t.Errorf("%s: %+v", format, checked)
		}
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		id   string
	}{{nil, topology.SchemaID}, {[]string{"topology"}, topology.SchemaID}, {[]string{"report"}, verify.SchemaID}} {
		r := call(t, append([]string{"schema"}, test.args...)...)
		var schema struct {
			ID string `json:"$id"`
		}
		if err := json.Unmarshal([]byte(r.stdout), &schema); err != nil || r.code != 0 || r.err != "" || schema.ID != test.id {
			t.Errorf("%q: %v: %+v", test.args, err, r)
		}
	}
	for _, args := range [][]string{{"plan"}, {"report", "report"}} {
		call(t, append([]string{"schema"}, args...)...).refused(t, wrong, "there is no schema", "meshfed schema report")
	}
}

// callInput is call with a standard input.
func callInput(t *testing.T, input string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := Run(t.Context(), args, Streams{In: strings.NewReader(input), Out: &out, Err: &errs})
	return result{code, out.String(), errs.String()}
}

// TestStandardInput: -f - is the file of every verb that takes one, and hints can be copied.
func TestStandardInput(t *testing.T) {
	h := newHost(t)
	data, err := os.ReadFile(example)
	must(t, err)
	if r := callInput(t, string(data), "validate", "-f", "-"); r.code != 0 || !strings.Contains(r.stdout, "topology usmesh, 2 clusters, is valid") {
		t.Errorf("%+v", r)
	}
	r := callInput(t, string(data), "status", "-f", "-", "--state-dir", h.state)
	if r.code != unhealthy || !strings.Contains(r.stdout, "meshfed verify -f - --state-dir") {
		t.Errorf("%+v", r)
	}
	for _, verb := range []string{"plan", "kubeconfig", "env"} {
		if r := callInput(t, string(data), verb, "-f", "-", "--state-dir", h.state); r.code == wrong {
			t.Errorf("%s: %+v", verb, r)
		}
	}
	if r := callInput(t, strings.Replace(least, "spec:", "spce:", 1), "validate", "-f", "-"); r.code != wrong || !strings.Contains(r.err, "<stdin>:4") {
		t.Errorf("a wrong one: %+v", r)
	}
	callInput(t, "", "validate", "-f", "-").refused(t, wrong, "<stdin>")
	t.Setenv("MESHFED_FILE", "-")
	if r := callInput(t, least, "validate"); r.code != 0 {
		t.Errorf("MESHFED_FILE=-: %+v", r)
	}
	h.madeNothing()
}

// TestInputIsReadOnce: what asks a second time gets the same.
func TestInputIsReadOnce(t *testing.T) {
	t.Parallel()
	a := &app{Streams: Streams{In: strings.NewReader(least), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, file: "-"}
	for range 2 {
		if tp, err := a.load(); err != nil || tp.Metadata.Name != "demo" {
			t.Errorf("%+v, %v", tp, err)
		}
	}
}

// TestStarterNames: always a name that a topology may have.
func TestStarterNames(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"-": "mesh", "shop.yaml": "shop", "a/b.c.yaml": "b-c", "7up.yaml": "mesh", "-.yaml": "mesh", "ÄÖ.yaml": "mesh",
		filepath.Join("x", strings.Repeat("long", 20)+".yaml"): strings.Repeat("long", 7) + "lo",
		"/srv/My_Shop/topology.yaml":                           "my-shop", "/topology.yaml": "mesh",
	} {
		if got := starterName(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
