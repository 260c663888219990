// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/test/promhost"
)

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), promhost.Find(t, "promtool"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPromtoolChecksTheRules(t *testing.T) {
	t.Parallel()
	if out := promtool(t, "check", "rules", "alert_rules.yaml"); !strings.Contains(out, "9 rules found") {
		t.Error(out)
	}
	promtool(t, "test", "rules", "rules_test.yaml")
}

// TestEachAlertIsTried: promtool passes over alerts that no case names.
func TestEachAlertIsTried(t *testing.T) {
	t.Parallel()
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	var tests struct {
		Tests []struct {
			Cases []struct {
				Name   string `json:"alertname"`
				Alerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(Rules, &rules); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(RulesTest, &tests); err != nil {
		t.Fatal(err)
	}
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, one := range tests.Tests {
		for _, c := range one.Cases {
			fires[c.Name], rests[c.Name] = fires[c.Name] || len(c.Alerts) > 0, rests[c.Name] || len(c.Alerts) == 0
		}
	}
	for _, r := range rules.Groups[0].Rules {
		if !fires[r.Alert] || !rests[r.Alert] && r.Alert != "MeshfedExpired" {
			t.Errorf("%s: fires in a case: %v, does not in one: %v", r.Alert, fires[r.Alert], rests[r.Alert])
		}
	}
}

// dashboard is what is checked of Grafana's JSON model.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type string }
	}
	Panels []panel
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct {
		RefID, Expr string
		Datasource  struct{ Type, UID string }
	}
	FieldConfig     *struct{ Defaults, Overrides json.RawMessage }
	Options         json.RawMessage
	Transformations []struct {
		ID      string
		Options map[string]any
	}
}

// resolved is an expression with the dashboard's variables as Grafana fills them in.
func resolved(expr string) string { return strings.ReplaceAll(expr, "$suite", ".*") }

func TestDashboard(t *testing.T) {
	t.Parallel()
	var d dashboard
	decoder := json.NewDecoder(bytes.NewReader(Dashboard))
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 36 {
		t.Errorf("%q %q schema %d", d.UID, d.Title, d.SchemaVersion)
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	types := []string{"stat", "table", "state-timeline", "bargauge", "timeseries"}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" || !slices.Contains(types, p.Type) || p.FieldConfig == nil || len(p.Options) == 0 || len(p.Targets) == 0 {
			t.Errorf("panel %d %q of type %q", p.ID, p.Title, p.Type)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 || x < 0 {
					t.Fatalf("%q at %d,%d lies on %q or outside of the grid", p.Title, x, y, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		refs := map[string]bool{}
		for i, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.Datasource.Type != "prometheus" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%q: target %+v", p.Title, target)
			}
			refs[target.RefID] = true
			for _, v := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(names, v[1]) {
					t.Errorf("%q: there is no variable %s", p.Title, v[1])
				}
			}
			fmt.Fprintf(&rules, "  - record: panel:p%d:t%d\n    expr: %q\n", p.ID, i, resolved(target.Expr))
		}
	}
	matrix := slices.IndexFunc(d.Panels, func(p panel) bool { return p.Title == "Matrix" })
	if matrix < 0 || d.Panels[matrix].Transformations[0].ID != "groupingToMatrix" || d.Panels[matrix].Transformations[0].Options["rowField"] != "from" {
		t.Error("there is no matrix")
	}
	// Prometheus' own parser reads every expression.
	path := filepath.Join(t.TempDir(), "dashboard-rules.yaml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}

// TestMetricsExist: rules and dashboard ask for nothing that neither a watch nor a prober exports.
func TestMetricsExist(t *testing.T) {
	t.Parallel()
	metric := regexp.MustCompile(`meshfed_[a-z_]+`)
	watch, err := os.ReadFile("../watch/testdata/metrics.golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	row, err := probe.Source.ReadFile("row.go")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/watch.md")
	if err != nil {
		t.Fatal(err)
	}
	exported := metric.FindAllString(string(watch)+string(row), -1)
	for name, text := range map[string][]byte{"alert_rules.yaml": Rules, "rules_test.yaml": RulesTest, "dashboard.json": Dashboard, "docs/watch.md": docs} {
		for _, m := range metric.FindAllString(string(text), -1) {
			if !slices.Contains(exported, m) {
				t.Errorf("%s: nobody exports %s", name, m)
			}
		}
	}
	for _, m := range exported {
		if !bytes.Contains(docs, []byte(m)) {
			t.Errorf("docs/watch.md says nothing of %s", m)
		}
	}
}
