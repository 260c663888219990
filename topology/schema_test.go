// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/meshfed/meshfed/internal/golden"
)

// TestSchemaIsCurrent: the schema that is embedded is the one of the types and their comments.
func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	golden.Check(t, "schema.json", generateSchema(t))
}

// TestSchemaCallersCanNotChangeIt guards what is embedded.
func TestSchemaCallersCanNotChangeIt(t *testing.T) {
	t.Parallel()
	Schema()[0] = 'x'
	if Schema()[0] != '{' {
		t.Error("a caller changed the schema for all")
	}
}

// compiled is the generated schema, checked against its own meta-schema.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text := Schema()
	if golden.Updating() { // what is embedded may be stale in this very run
		text = generateSchema(t)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(SchemaID, document); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is YAML as a validator takes it.
func instance(text []byte) (any, error) {
	var content any
	if err := yaml.Unmarshal(text, &content); err != nil {
		return nil, err
	}
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(data))
}

func validates(t testing.TB, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	content, err := instance(text)
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(content)
}

// TestSchemaAcceptsWhatLoadAccepts: every good file, as it is and as it is loaded, every
// example, and every accepted value at the edges of every field.
func TestSchemaAcceptsWhatLoadAccepts(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	files := append(globOf(t, "testdata/good/*.yaml"), globOf(t, "../examples/*/topology.yaml")...)
	for _, file := range files {
		if err := validates(t, s, readOf(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		loaded, err := Load(file, setsOf(t, file)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := validates(t, s, []byte(asJSON(t, loaded))); err != nil {
			t.Errorf("%s, loaded: %v", file, err)
		}
	}
	for _, f := range boundaries() {
		for _, value := range f.accepted {
			text := withValue(t, f.path, value)
			if _, err := Parse("t.yaml", text); err != nil {
				continue // accepted as an argument only, where 5 is a string
			}
			if err := validates(t, s, text); err != nil {
				t.Errorf("%s=%s: %v", f.path, value, err)
			}
		}
	}
}

// withValue is the file of two clusters with one value laid over it, as YAML.
func withValue(t *testing.T, path, value string) []byte {
	t.Helper()
	c := newCollector("t.yaml")
	root, ok := readTree(c, []byte(two))
	if !ok {
		t.Fatal(c.problems)
	}
	applySets(c, root, []string{path + "=" + value})
	text, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSchemaRefuses lists for every wrong file and every refused value what the schema says: a
// person who writes it learns it in the editor, or from Load only.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	var list strings.Builder
	refused, all := 0, 0
	judge := func(name string, text []byte) {
		content, err := instance(text)
		if err != nil {
			return // no YAML that JSON could hold, so no matter for a schema
		}
		all++
		var wrong *jsonschema.ValidationError
		if err := s.Validate(content); errors.As(err, &wrong) {
			refused++
			fmt.Fprintf(&list, "refused  %s\n", name)
		} else {
			fmt.Fprintf(&list, "load     %s\n", name)
		}
	}
	for _, file := range globOf(t, "testdata/wrong/*.yaml") {
		if len(setsOf(t, file)) == 0 {
			judge(filepath.Base(file), readOf(t, file))
		}
	}
	for _, f := range boundaries() {
		for _, value := range f.refused {
			judge(f.path+"="+value, withValue(t, f.path, value))
		}
	}
	golden.Check(t, "testdata/schema-refuses.golden", list.String())
	if refused*10 < all*7 {
		t.Errorf("the schema refuses only %d of %d mistakes", refused, all)
	}
}

// TestSchemaDescribesEveryField: an editor shows something for each key.
func TestSchemaDescribesEveryField(t *testing.T) {
	t.Parallel()
	var tree map[string]any
	if err := json.Unmarshal(Schema(), &tree); err != nil {
		t.Fatal(err)
	}
	if tree["$id"] != SchemaID || tree["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$id is %v, $schema is %v", tree["$id"], tree["$schema"])
	}
	count := 0
	var walk func(path string, node any)
	walk = func(path string, node any) {
		object, ok := node.(map[string]any)
		if !ok {
			return
		}
		if properties, ok := object["properties"].(map[string]any); ok && object["type"] == "object" {
			if object["additionalProperties"] != false {
				t.Errorf("%s accepts unknown keys", path)
			}
			for key, property := range properties {
				count++
				if text, _ := property.(map[string]any)["description"].(string); len(text) < 10 {
					t.Errorf("%s.%s is described by %q", path, key, text)
				}
				walk(path+"."+key, property)
			}
		}
		walk(path+"[]", object["items"])
	}
	walk("", tree)
	if count < 100 {
		t.Errorf("only %d fields are described", count)
	}
}
