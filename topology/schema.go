// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import _ "embed" // for the schema

//go:generate go test -run ^(TestSchemaIsCurrent|TestReferenceIsCurrent)$ -update .

// SchemaID names the schema; nothing is fetched from there.
const SchemaID = "https://meshfed.io/schema/v1alpha1/topology.json"

// SchemaFile is what the schema is called beside a topology file whose first line names it.
const SchemaFile = "meshfed.schema.json"

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of a topology file, for editors: keys, types,
// words, ranges and defaults, described by the comments of the types. It accepts every file
// that Load accepts; rules about two fields and about other files are Load's alone. It is
// generated, see the tests.
func Schema() []byte { return append([]byte(nil), schema...) }
