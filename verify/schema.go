// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import _ "embed" // for the schema

//go:generate go test -run ^TestSchemaIsCurrent$ -update .

// SchemaID names the schema of a report; nothing is fetched from there.
const SchemaID = "https://meshfed.io/schema/v1alpha1/report.json"

//go:embed schema.json
var schemaText []byte

// Schema is the JSON Schema (draft 2020-12) of a VerifyReport, described by the comments of the
// types. Fields are only ever added, so it accepts fields that it does not know. It is
// generated, see the tests.
func Schema() []byte { return append([]byte(nil), schemaText...) }
