// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package prober

import (
	_ "embed" // the files below
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// Rules are the alert rules for Prometheus, for the metrics of `verify --watch` and of probers.
//
//go:embed alert_rules.yaml
var Rules []byte

// RulesTest are the cases by which `promtool test rules` tries each of them.
//
//go:embed rules_test.yaml
var RulesTest []byte

// Dashboard is Grafana's, as JSON.
//
//go:embed dashboard.json
var Dashboard []byte

// Files of a folder, by path: the manifest of each cluster, rules with their test, the dashboard. No
// cluster can be called alert_rules.
func Files(t *topology.Topology, image string) (map[string][]byte, error) {
	files := map[string][]byte{"alert_rules.yaml": Rules, "rules_test.yaml": RulesTest, "dashboard.json": Dashboard, "README.md": []byte(readme(t))}
	for _, c := range t.Members() {
		data, err := Manifest(t, c, image)
		if err != nil {
			return nil, err
		}
		files[c+".yaml"] = data
	}
	return files, nil
}

// readme says what to do with the folder.
func readme(t *topology.Topology) string {
	var b strings.Builder
	b.WriteString("# Probers of " + t.Metadata.Name + "\n\nRendered by `meshfed render prober`; docs/watch.md of meshfed says what they do.\n\n```console\n")
	for _, c := range t.Members() {
		context := t.Context(c)
		if context != "" {
			context = " --context " + context
		}
		b.WriteString("$ kubectl" + context + " apply -f " + c + ".yaml\n")
	}
	b.WriteString("```\n\nPrometheus loads alert_rules.yaml, Grafana imports dashboard.json; `promtool test rules rules_test.yaml` tries the rules.\n" +
		"`kubectl delete -f` in place of `apply` removes a prober with all that belongs to it.\n")
	return b.String()
}
