// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	reflector "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/schema"
	"github.com/meshfed/meshfed/topology"
)

// generateSchema makes the schema of the types; strict is one that knows all fields.
func generateSchema(t *testing.T, strict bool) []byte {
	t.Helper()
	words := func(of reflect.Type) *reflector.Schema {
		if of != reflect.TypeFor[Status]() {
			return nil
		}
		s := &reflector.Schema{Type: "string"}
		for _, word := range worst() {
			s.Enum = append(s.Enum, string(word))
		}
		return s
	}
	root, err := schema.Reflect(&reflector.Reflector{AllowAdditionalProperties: !strict, Mapper: words}, &Report{},
		SchemaID, "meshfed VerifyReport", "github.com/meshfed/meshfed/verify", ".")
	if err != nil {
		t.Fatal(err)
	}
	wordFields(root, reflect.TypeFor[Report]())
	for key, value := range map[string]string{"apiVersion": topology.APIVersion, "kind": Kind} {
		property, _ := root.Properties.Get(key)
		property.Const = value
	}
	text, err := schema.Encode(root)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// wordFields makes paragraphs of comments; it walks types and schema together.
func wordFields(s *reflector.Schema, of reflect.Type) {
	switch {
	case of.Kind() == reflect.Slice:
		wordFields(s.Items, of.Elem())
	case of.Kind() == reflect.Struct && s.Properties != nil:
		for i := range of.NumField() {
			field := of.Field(i)
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if property, ok := s.Properties.Get(key); ok {
				schema.Describe(property, field, key)
				wordFields(property, field.Type)
			}
		}
	}
}

// TestSchemaIsCurrent: the schema that is embedded is the one of the types and their comments.
func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	golden.Check(t, "schema.json", generateSchema(t, false))
}

func compiled(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
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

func instance(t *testing.T, text []byte) any {
	t.Helper()
	content, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestSchemaAcceptsReports: recorded ones of real meshes, one of a mesh that could not be
// looked at, one of everything, and one of a version that has more fields. None has a field that
// the schema does not describe.
func TestSchemaAcceptsReports(t *testing.T) {
	t.Parallel()
	published, strict := compiled(t, generateSchema(t, false)), compiled(t, generateSchema(t, true))
	reports := map[string][]byte{}
	for name, r := range map[string]*Report{
		"mixed": mixed(), "everything": everything(t, func(*World) {}), "not run": NotRun(testTopology(), Options{}, errors.New("the engine is gone")),
	} {
		data, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		reports[name] = data
	}
	recorded, err := filepath.Glob("page/testdata/*.json")
	if err != nil || len(recorded) < 2 {
		t.Fatalf("%d recorded reports: %v", len(recorded), err)
	}
	for _, file := range recorded {
		if reports[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range reports {
		for which, s := range map[string]*jsonschema.Schema{"published": published, "strict": strict} {
			if err := s.Validate(instance(t, text)); err != nil {
				t.Errorf("%s, %s: %v", name, which, err)
			}
		}
	}
	later := bytes.Replace(reports["mixed"], []byte(`"kind":`), []byte(`"later": 1, "kind":`), 1)
	if err := published.Validate(instance(t, later)); err != nil {
		t.Errorf("a report with one more field: %v", err)
	}
}

// TestSchemaRefusesWhatIsNoReport: it can say no.
func TestSchemaRefusesWhatIsNoReport(t *testing.T) {
	t.Parallel()
	s := compiled(t, Schema())
	good, err := mixed().JSON()
	if err != nil {
		t.Fatal(err)
	}
	for old, replaced := range map[string]string{
		`"kind": "VerifyReport"`:              `"kind": "Plan"`,
		`"apiVersion": "meshfed.io/v1alpha1"`: `"apiVersion": "v1"`,
		`"status": "fail"`:                    `"status": "failed"`,
		`"durationSeconds": 7.25`:             `"durationSeconds": "7.25"`,
		`"summary"`:                           `"sum"`,
	} {
		if text := bytes.ReplaceAll(good, []byte(old), []byte(replaced)); bytes.Equal(text, good) || s.Validate(instance(t, text)) == nil {
			t.Errorf("it accepts %s", replaced)
		}
	}
}

// TestSchemaDescribesEveryField: a reader finds something for each key.
func TestSchemaDescribesEveryField(t *testing.T) {
	t.Parallel()
	var walk func(path string, node map[string]any) int
	walk = func(path string, node map[string]any) int {
		count := 0
		properties, _ := node["properties"].(map[string]any)
		for key, value := range properties {
			property := value.(map[string]any)
			if text, _ := property["description"].(string); len(text) < 10 {
				t.Errorf("%s.%s is described by %q", path, key, text)
			}
			count += 1 + walk(path+"."+key, property)
		}
		if items, ok := node["items"].(map[string]any); ok {
			count += walk(path+"[]", items)
		}
		return count
	}
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if n := walk("", root); n < 30 {
		t.Errorf("only %d fields are described", n)
	}
}
