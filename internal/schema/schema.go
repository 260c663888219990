// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Reflect is the schema (draft 2020-12) of a value's type, written out in full. The comments are
// those of the Go files in dir, which are the package pkg.
func Reflect(r *jsonschema.Reflector, value any, id, title, pkg, dir string) (*jsonschema.Schema, error) {
	r.DoNotReference, r.ExpandedStruct, r.Anonymous = true, true, true
	if err := r.AddGoComments(pkg, dir, jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("reading the comments of %s: %w", pkg, err)
	}
	root := r.Reflect(value)
	root.Version, root.ID, root.Title = jsonschema.Version, jsonschema.ID(id), title
	return root, nil
}

// Describe makes one paragraph of a field's comment. Comments speak of fields by their Go names,
// and users know the keys.
func Describe(property *jsonschema.Schema, field reflect.StructField, key string) {
	text := strings.Join(strings.Fields(property.Description), " ")
	if rest, ok := strings.CutPrefix(text, field.Name); ok && key != strings.ToLower(field.Name) {
		text = key + rest
	}
	property.Description = text
}

// Encode is a schema as it is published.
func Encode(s *jsonschema.Schema) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return nil, fmt.Errorf("encoding the schema %s: %w", s.ID, err)
	}
	return out.Bytes(), nil
}
