// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/meshfed/meshfed/internal/golden"
)

const (
	referenceFile    = "../docs/topology.md"
	referenceExample = "testdata/good/reference.yaml"
)

// TestReferenceIsCurrent: docs/topology.md is that of the types and their comments, as the
// schema is.
func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	golden.Check(t, referenceFile, generateReference(t))
}

// TestReferenceHasEveryField, under a heading of its own or in a row.
func TestReferenceHasEveryField(t *testing.T) {
	t.Parallel()
	text := string(readOf(t, referenceFile))
	for _, path := range allPaths() {
		path = strings.ReplaceAll(path, "[0]", "[]")
		section, key := "", path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			section, key = path[:i], path[i+1:]
		}
		if strings.HasSuffix(key, "[]") {
			continue // an item, said with its list
		}
		_, after, found := strings.Cut(text, "\n## "+orFile(section)+"\n")
		after, _, _ = strings.Cut(after, "\n## ")
		if !found || !strings.Contains(after, "| `"+key+"` |") && !strings.Contains(after, "| [`"+key+"`](") {
			t.Errorf("%s has no row in the section %q", path, section)
		}
	}
}

func orFile(section string) string {
	if section == "" {
		return "The file"
	}
	return section
}

const referenceHead = `<!-- Generated from the comments of package topology: go generate ./topology -->
# The topology file

One YAML document of at most 1 MiB in UTF-8. It is strict: unknown and repeated keys, ` + "`null`" + `, wrong types, anchors, aliases and tags are refused, and all problems are told at once,
each with file, line, column, path, what is wrong and what to write instead. ` + "`{}`" + ` means defaults. Durations are Go's (` + "`720h`, `1h30m`, `10s`" + `), counts are whole numbers, words of a closed list are CamelCase,
lists are keyed by name, relative paths count from the file. ` + "`-f -`" + ` reads standard input; ` + "`--set path=value`" + ` lays a value over the file and is as strict.

` + "`meshfed init`" + ` writes a file to begin with, and beside it the [JSON Schema](../topology/schema.json) by which editors complete and check it; ` + "`meshfed validate`" + ` checks it without a network. ` + "`meshfed init --from-contexts a,b`" + ` reads a mesh that runs already and writes the file that describes it; nothing in it is managed (` + "`manage`" + `), so that ` + "`plan`" + ` shows no change.
How this format may change:
[topology-format.md](topology-format.md). *Planned, but not built yet* means that the field is refused by name until it is.

**Immutable**: a live mesh can not change it; ` + "`plan`" + ` says what it would cost. What the file does not say is allocated: subnets, load-balancer addresses and ports of the host are a pure function of the file while nothing lives.
` + "`up`" + ` records in each cluster what it has, and what is recorded wins, so that adding or removing a cluster moves no other.

`

// generateReference writes the fields section by section, in the order of the types.
func generateReference(t *testing.T) string {
	t.Helper()
	var root jsonschema.Schema
	if err := json.Unmarshal(generateSchema(t), &root); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	out.WriteString(referenceHead)
	fmt.Fprintf(&out, "An example with much that can be said; `name` and `clusters` are all that must be:\n\n```yaml\n%s```\n", readOf(t, referenceExample))
	root.Description = "The top level."
	section(t, &out, "", &root, reflect.TypeFor[Topology]())
	return out.String()
}

// section writes a mapping's fields, then the mappings inside it.
func section(t *testing.T, out *bytes.Buffer, path string, s *jsonschema.Schema, of reflect.Type) {
	t.Helper()
	title := orFile(path)
	fmt.Fprintf(out, "\n## %s\n\n%s\n\n| field | type | default | |\n|---|---|---|---|\n", title, s.Description)
	keys := fieldsOf(of)
	type inner struct {
		path string
		s    *jsonschema.Schema
		of   reflect.Type
	}
	var below []inner
	for _, key := range keys.names {
		property, ok := s.Properties.Get(key)
		if !ok {
			t.Fatalf("the schema lacks %s", join(path, key))
		}
		child, at, element := join(path, key), property, of.Field(keys.index[key]).Type
		for element.Kind() == reflect.Pointer || element.Kind() == reflect.Slice {
			if element.Kind() == reflect.Slice {
				child, at = child+"[]", at.Items
				if at.Description == "" {
					at.Description = property.Description
				}
			}
			element = element.Elem()
		}
		name := "`" + key + "`"
		if element.Kind() == reflect.Struct {
			below = append(below, inner{child, at, element})
			name = fmt.Sprintf("[%s](#%s)", name, anchor(child))
		}
		fallback, text := says(property, slices.Contains(s.Required, key))
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", name, typeOf(property), fallback, text)
	}
	for _, in := range below {
		section(t, out, in.path, in.s, in.of)
	}
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(strings.ToLower(heading), "")
}

func typeOf(s *jsonschema.Schema) string {
	switch {
	case len(s.Enum) > 1 && s.Type == "string":
		var words []string
		for _, word := range s.Enum {
			if word != "" {
				words = append(words, fmt.Sprintf("`%v`", word))
			}
		}
		return strings.Join(words, ", ")
	case s.Type == "array":
		return "list of " + plural(typeOf(s.Items))
	case s.Type == "object" && s.Properties.Len() > 0:
		return "mapping"
	case s.Type == "object" && s.AdditionalProperties != nil && s.AdditionalProperties.Type != "":
		return "mapping to " + plural(typeOf(s.AdditionalProperties))
	case s.Type == "object":
		return "free mapping"
	case s.Type == "string" && strings.Contains(s.Pattern, "ns|us"):
		return "duration"
	}
	return s.Type
}

func plural(what string) string {
	if strings.HasPrefix(what, "`") || strings.HasPrefix(what, "list of") {
		return what
	}
	return what + "s"
}

// says splits a description into the default and the rest.
func says(s *jsonschema.Schema, required bool) (fallback, text string) {
	var rest []string
	split := regexp.MustCompile(`\.\s+([A-Z])`).ReplaceAllString(s.Description, ".\x00$1")
	for sentence := range strings.SplitSeq(split, "\x00") {
		if words, ok := strings.CutPrefix(sentence, "Default: "); ok {
			fallback = cell(strings.TrimSuffix(words, "."))
			continue
		}
		if sentence == "Required." {
			required = true
			continue
		}
		words, immutable := strings.CutPrefix(sentence, "Immutable")
		if sentence = cell(words); immutable {
			sentence = "**Immutable**" + sentence
		}
		rest = append(rest, sentence)
	}
	if s.Default != nil && fallback == "" {
		fallback = fmt.Sprintf("`%v`", s.Default)
	}
	if required {
		fallback = "*required*"
	}
	return fallback, strings.Join(rest, " ")
}

// cell keeps Markdown from reading anything into a comment.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*.", `\*.`, "* ", `\* `).Replace(text)
}
