// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"strconv"
	"text/template"
)

// Starter is a small topology file to begin with: two kind clusters in two networks. Its first
// line names the schema as SchemaFile in the same folder, so that editors work offline. The
// name is that of the topology; kubernetes is a version such as 1.36.3 or empty for the
// default. Neither is checked here: loading what this returns is.
func Starter(name, kubernetes string) []byte {
	var out bytes.Buffer
	// The template is a constant of this package and its data has no methods: it can not fail.
	_ = template.Must(template.New("starter").Funcs(template.FuncMap{"plain": plainScalar}).Parse(starter)).
		Execute(&out, map[string]string{"Name": name, "Kubernetes": kubernetes, "Schema": SchemaFile, "APIVersion": APIVersion, "Kind": Kind, "Istio": IstioVersion})
	return out.Bytes()
}

// plainScalar writes a string of YAML without quotes where it can not be taken for anything else.
func plainScalar(s string) string {
	if isLabel(s) && 'a' <= s[0] && s[0] <= 'z' && s != "true" && s != "false" && s != "null" {
		return s
	}
	return strconv.Quote(s)
}

const starter = `# yaml-language-server: $schema=./{{.Schema}}
apiVersion: {{.APIVersion}}
kind: {{.Kind}}
metadata:
  name: {{plain .Name}}        # kind clusters and contexts are called {{.Name}}-west and {{.Name}}-east
spec:
  istio:
    version: {{.Istio}}
  mesh:
    mtls: Permissive    # or Strict: no plain text inside the mesh
  clusters:
  - name: west
{{- if .Kubernetes}}
    provider: {kind: {kubernetes: {{.Kubernetes}}}}
{{- end}}
    locality: {region: us-west}
    ingress: {}         # a free port of this host; or {hostPorts: {http: 30000}}
  - name: east
{{- if .Kubernetes}}
    provider: {kind: {kubernetes: {{.Kubernetes}}}}
{{- end}}
    locality: {region: us-east}
    ingress: {}
    # Workers in two zones:
    # provider: {kind: {nodes: [{role: control-plane}, {role: worker, locality: {region: us-east, zone: a}}, {role: worker, locality: {region: us-east, zone: b}}]}}
  # Images from a registry of yours; the secret's name, where it asks for a login:
  # images: {mirror: registry.example.com/mirror, pullSecret: regcred}
`
