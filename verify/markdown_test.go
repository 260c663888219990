// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/topology"
)

func markdown(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := mixed()
	for i := range r.Checks {
		if r.Checks[i].Status == Fail {
			r.Checks[i] = r.Checks[i].with("see", "kubectl --context kind-east get secret -l 'a=b' | grep `x`")
		}
	}
	golden.Check(t, "testdata/report.golden.md", markdown(t, r))
}

func TestMarkdownOfAHealthyMesh(t *testing.T) {
	t.Parallel()
	text := markdown(t, everything(t, func(*World) {}))
	for _, words := range []string{"## Mesh usmesh: passed", "| from \\ to | west | east |", "<details><summary>authorization: "} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is missing in\n%s", words, text)
		}
	}
	if strings.Contains(text, "### ") {
		t.Error("it lists what did not fail")
	}
}

// manyClusters is a report of n clusters in which every check of every pair has a status.
func manyClusters(n int, status Status) *Report {
	top := testTopology()
	top.Spec.Clusters = nil
	for i := range n {
		top.Spec.Clusters = append(top.Spec.Clusters, topology.Cluster{Name: fmt.Sprintf("cluster-%d", i)})
	}
	var all []Result
	for _, p := range pairs(top.Names()) {
		for _, suite := range []string{SuiteTrust, SuiteDiscovery} {
			all = append(all, one(suite+"-x", suite, verdict(status, "TRU001", "%s", strings.Repeat("<b>|*wörds* ", 60)).with("see", strings.Repeat("`é ", 300)), p.From, p.To))
		}
	}
	return newReport(top, top.Names(), []string{SuiteTrust, SuiteDiscovery}, all)
}

func TestMarkdownIsBoundedWhateverTheMesh(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, markdownClusters, markdownClusters + 1, 24} {
		for _, status := range worst() {
			r := manyClusters(n, status)
			r.Substitutions = []string{strings.Repeat("upstream Envoy ", 1000)}
			text := markdown(t, r)
			if n == 2 {
				want, _ := r.Tally().Cell(SuiteTrust, "cluster-0", "cluster-1")
				if got, _ := r.Tally().inCell([]string{SuiteTrust}, "cluster-0", "cluster-1"); got != want {
					t.Errorf("the table says %s, the matrix %s", got, want)
				}
			}
			switch {
			case len(text) > 60<<10 || !utf8.ValidString(text):
				t.Errorf("%d clusters that %s: %d bytes", n, status, len(text))
			case strings.Count(text, "<details>") != strings.Count(text, "</details>"):
				t.Errorf("%d clusters that %s: a fold is left open", n, status)
			case n == 24 && !strings.Contains(text, "left out here"):
				t.Errorf("%d clusters that %s: it does not say that something is left out", n, status)
			}
		}
	}
}

func TestMarkdownTakesWordsAsTheyAre(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<script>alert(1)</script>": "&lt;script>alert(1)&lt;/script>",
		"a | b\n# c":                `a \| b \# c`,
		"[x](http://y) *z* `c` @me": "\\[x\\](http://y) \\*z\\* \\`c\\` \\@me",
		"nul\x00 and \x1b[31m":      `nul and \[31m`,
		"10.10.0.3:8080 & west":     "10.10.0.3:8080 &amp; west",
	} {
		if got := escaped(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := span("grep `x` | tail\n"); got != "`` grep `x` | tail ``" {
		t.Errorf("span %q", got)
	}
}
