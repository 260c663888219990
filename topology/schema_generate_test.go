// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	schemas "github.com/meshfed/meshfed/internal/schema"
)

// generateSchema makes the schema: structure and words from the types, descriptions from their
// comments, defaults from what preset fills in, ranges from schemaLimits, and what is refused
// because it is not built yet from refusals.
func generateSchema(t testing.TB) []byte {
	t.Helper()
	root, err := schemas.Reflect(&jsonschema.Reflector{RequiredFromJSONSchemaTags: true, Mapper: duration}, &Topology{},
		SchemaID, "meshfed topology", "github.com/meshfed/meshfed/topology", ".")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]*jsonschema.Schema{"": root}
	describeFields(t, fields, "", root, reflect.TypeFor[Topology]())
	for path, limit := range schemaLimits() {
		if fields[path] == nil {
			t.Fatalf("there is no field %s to limit", path)
		}
		limit(fields[path])
	}
	for _, row := range refusals() {
		plan(t, fields, row)
	}
	text, err := schemas.Encode(root)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func duration(of reflect.Type) *jsonschema.Schema {
	if of != reflect.TypeFor[Duration]() {
		return nil
	}
	return &jsonschema.Schema{Type: "string", Pattern: `^[+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`}
}

// describeFields walks types and schema together: it lists each field by its path ([*] stands for
// any item), and says words and defaults.
func describeFields(t testing.TB, fields map[string]*jsonschema.Schema, path string, s *jsonschema.Schema, of reflect.Type) {
	t.Helper()
	switch of.Kind() {
	case reflect.Pointer:
		describeFields(t, fields, path, s, of.Elem())
	case reflect.Slice:
		limit := uint64(MaxItems)
		s.MaxItems = &limit
		fields[path+"[*]"] = s.Items
		describeFields(t, fields, path+"[*]", s.Items, of.Elem())
	case reflect.Struct:
		fresh := reflect.New(of)
		preset(fresh.Interface())
		keys := fieldsOf(of)
		for _, key := range keys.names {
			field := of.Field(keys.index[key])
			property, ok := s.Properties.Get(key)
			if !ok {
				t.Fatalf("the schema lacks %s", join(path, key))
			}
			child := join(path, key)
			fields[child] = property
			schemas.Describe(property, field, key)
			if enum := field.Tag.Get("enum"); enum != "" {
				for word := range strings.SplitSeq(enum, ",") {
					property.Enum = append(property.Enum, word)
				}
			}
			property.Default = defaultOf(fresh.Elem().Field(keys.index[key]))
			describeFields(t, fields, child, property, field.Type)
		}
	}
}

// defaultOf is a constant default of a single value, or nil.
func defaultOf(v reflect.Value) any {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return nil
	}
	switch v.Kind() {
	case reflect.String, reflect.Bool:
		return v.Interface()
	case reflect.Int:
		return int(v.Int())
	case reflect.Int64:
		return fmt.Sprint(v.Interface())
	}
	return nil
}

// plan shows that a field is not built yet, and refuses what Load refuses for that reason.
func plan(t testing.TB, fields map[string]*jsonschema.Schema, row refusal) {
	t.Helper()
	none, one := uint64(0), uint64(1)
	path, second := strings.CutSuffix(row.path, "[1]")
	if second {
		fields[path].MaxItems = &one
		return
	}
	var planned []*jsonschema.Schema
	for known, s := range fields {
		if pathPattern(strings.ReplaceAll(path, "[*]", "[0]")).MatchString(strings.ReplaceAll(known, "[*]", "[0]")) {
			planned = append(planned, s)
		}
	}
	if len(planned) == 0 {
		t.Fatalf("there is no field %s to refuse", path)
	}
	for _, s := range planned {
		const note = " Planned, but not built yet"
		switch {
		case len(row.allow) > 0 && row.allow[0] == "$cluster":
			s.Description += note + ": write the cluster's own name or nothing."
		case len(row.allow) > 0:
			s.Description += note + ": other values than " + row.allow[0] + "."
			switch {
			case s.Type == "boolean":
				s.Enum = []any{row.allow[0] == "true"}
			case len(s.Enum) > 0:
				s.Enum = []any{row.allow[0]}
			default:
				s.Enum = []any{row.allow[0], ""} // no word of a closed list, so empty means the default
			}
		default:
			s.Description += note + "."
			switch {
			case row.any:
				s.Not = &jsonschema.Schema{}
			case s.Type == "string":
				s.MaxLength = &none
			case s.Type == "array":
				s.MaxItems = &none
			default:
				s.MaxProperties = &none
			}
		}
	}
}
