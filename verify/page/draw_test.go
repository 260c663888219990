// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/verify"
)

// failing has a time line that failed, a remote cluster and an up that went wrong.
func failing() *verify.Report {
	r := made(3, 2, func(i int) verify.Status { return []verify.Status{verify.Pass, verify.Fail}[min(1, i%7)] })
	for i := range r.Checks {
		if c := &r.Checks[i]; c.ID == "suite-1-check-0" && c.From == "cluster-00" && c.To == "cluster-01" {
			c.Variant = "a new fault"
			c.Evidence["rate"], c.Evidence["policy"] = 20, map[string]any{"fault": "the gateway is gone", "retries": "none"}
			c.Evidence["timeline"] = map[string]any{
				"bucketMilliseconds": 100, "faultAt": 0.2, "repairAt": 0.6, "lost": []int{0, 0, 1, 0, 0, 0, 0, 0},
				"answers": map[string][]int{"cluster-00": {2, 2, 1, 0, 0, 0, 2, 2}, "cluster-01": {0, 0, 0, 2, 2, 2, 0, 0}},
			}
		}
	}
	r.Members[2].Primary, r.Members[2].Knows = "cluster-00", nil
	r.Steps = []verify.StepTime{
		{ID: "network", Title: "the network", Status: "unchanged", DurationSeconds: 0.5},
		{ID: "istiod@cluster-00", Title: "control plane", Status: "failed", StartSeconds: 0.5, DurationSeconds: 9.5},
		{ID: "synced", Title: "sync", Status: "blocked"},
	}
	return r
}

func TestTimeLine(t *testing.T) {
	t.Parallel()
	r, err := plain(failing())
	if err != nil {
		t.Fatal(err)
	}
	figures, left := figuresOf(r)
	if len(figures) != 1 || left != 0 {
		t.Fatalf("%d figures, %d left out", len(figures), left)
	}
	f := figures[0]
	f.Checks, f.Ticks = nil, f.Ticks[:2]
	want := figure{
		ID: "f-cluster-00__cluster-01__a_20new_20fault", From: "cluster-00", To: "cluster-01", Variant: "a new fault",
		Facts: []string{"the gateway is gone", "retries: none", "20 requests a second"}, Buckets: 8,
		Legend: []band{
			{Name: "cluster-00", Class: "s0", Path: "M0 100H0V0H2V50H3V100H6V0H8V100z", Total: 9, Label: "18.75%"},
			{Name: "cluster-01", Class: "s1", Path: "M0 100H0V0H2V50H3V0H8V100z", Total: 6, Label: "56.25%"},
			{Name: "lost", Class: "lost", Path: "M0 100H0V0H8V100z", Total: 1, Label: "31.25%"},
		},
		Ticks: []tick{{"0%", "0"}, {"62.5%", "0.5"}},
		Fault: "25%", Repair: "75%", Under: "50%", FaultAt: "0.2 s", RepairAt: "0.6 s", Lost: []string{"25%"}, Text: "cluster-00 9, cluster-01 6, lost 1",
	}
	want.Bands = slices.Clone(want.Legend)
	slices.Reverse(want.Bands)
	if diff := cmp.Diff(want, f, cmp.AllowUnexported(figure{}, band{}, tick{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := drawn(t, failing())
	for _, words := range []string{`id="f-cluster-00__cluster-01__a_20new_20fault"`, `href="#f-cluster-00__cluster-01__a_20new_20fault"`, "lost 1", "fault at 0.2 s"} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is missing", words)
		}
	}
}

// TestATimeLineOfBefore has the clusters beside the lost requests.
func TestATimeLineOfBefore(t *testing.T) {
	t.Parallel()
	old, err := plain(failing())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range old.Checks {
		if line, ok := c.Evidence["timeline"].(map[string]any); ok {
			answers, _ := line["answers"].(map[string]any)
			maps.Copy(line, answers)
			delete(line, "answers")
		}
	}
	now, err := plain(failing())
	if err != nil {
		t.Fatal(err)
	}
	was, _ := figuresOf(old)
	is, _ := figuresOf(now)
	if len(was) != 1 || len(is) != 1 || was[0].Text != is[0].Text || !cmp.Equal(was[0].Bands, is[0].Bands) {
		t.Errorf("%+v, now %+v", was, is)
	}
}

// TestAClusterCalledLost is not what was lost.
func TestAClusterCalledLost(t *testing.T) {
	t.Parallel()
	r := made(2, 1, always(verify.Pass))
	for i := range r.Checks {
		r.Checks[i].From, r.Checks[i].To = "west", "lost"
	}
	r.Clusters = []string{"west", "lost"}
	r.Checks = r.Checks[:1]
	r.Checks[0].Evidence["timeline"] = map[string]any{"bucketMilliseconds": 100,
		"answers": map[string][]int{"west": {2, 0, 0}, "lost": {0, 2, 2}}, "lost": []int{0, 1, 0}}
	r, err := plain(r)
	if err != nil {
		t.Fatal(err)
	}
	figures, _ := figuresOf(r)
	if len(figures) != 1 || figures[0].Text != "west 2, lost 4, lost requests 1" || figures[0].Legend[1].Class != "s1" || figures[0].Legend[2].Class != "lost" || !slices.Equal(figures[0].Lost, []string{"33.33%"}) {
		t.Errorf("%+v", figures)
	}
}

// TestTimeLinesThatAreNone: evidence of other versions draws nothing and breaks nothing.
func TestTimeLinesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"words": "none", "no width": map[string]any{"a": []int{1}}, "width of nothing": map[string]any{"bucketMilliseconds": 0, "a": []int{1}},
		"no series": map[string]any{"bucketMilliseconds": 100}, "an empty series": map[string]any{"bucketMilliseconds": 100, "a": []int{}},
	} {
		r := made(2, 1, always(verify.Pass))
		r.Checks[0].Evidence["timeline"] = value
		if text := drawn(t, r); strings.Contains(text, "<figure") || !strings.Contains(text, "<dt>timeline</dt>") {
			t.Errorf("%s: it is drawn, or hidden", name)
		}
	}
}

// TestFiguresHaveNamesOfTheirOwn: names of clusters have hyphens.
func TestFiguresHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	if a, b := figureID(verify.Result{From: "us", To: "west-east"}), figureID(verify.Result{From: "us-west", To: "east"}); a == b {
		t.Errorf("both are %s", a)
	}
}

func TestFiguresAreBounded(t *testing.T) {
	t.Parallel()
	r := made(12, 1, always(verify.Pass))
	var line []int
	for i := range 300 {
		line = append(line, i%7)
	}
	for i := range r.Checks {
		r.Checks[i].Evidence["timeline"] = map[string]any{"bucketMilliseconds": 100, r.Checks[i].From: line, "lost": line}
	}
	r.Checks[300].Status = verify.Fail
	text := drawn(t, r)
	if len(text) >= Limit || !strings.Contains(text, "more time lines had no room") {
		t.Errorf("%d bytes", len(text))
	}
	_, first, _ := strings.Cut(text, "<figure")
	if first, _, _ = strings.Cut(first, "</figure>"); !strings.Contains(first, `class="mark fail"`) {
		t.Error("the one that failed does not come first")
	}
}

func TestDrawing(t *testing.T) {
	t.Parallel()
	d := drawingOf(failing())
	if len(d.Nets) != 3 || len(d.Boxes) != 3 || d.Everyone {
		t.Errorf("%+v", d)
	}
	known := func(r *verify.Report, want ...string) {
		t.Helper()
		var arcs []string
		for _, a := range drawingOf(r).Arcs {
			arcs = append(arcs, a.Text)
		}
		if diff := cmp.Diff(want, arcs); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	// The third knows nobody, and is known by both.
	known(failing(), "cluster-00 and cluster-01 know each other", "cluster-00 knows cluster-02", "cluster-01 knows cluster-02")
	// The first knows the third alone, and is known by the second alone.
	one := made(3, 1, always(verify.Pass))
	one.Members[0].Knows, one.Members[1].Knows, one.Members[2].Knows = []string{"cluster-02"}, []string{"cluster-00"}, nil
	known(one, "cluster-01 knows cluster-00", "cluster-00 knows cluster-02")
	if lines := d.Boxes[2].Lines; len(lines) != 2 || lines[1].Text != "served by cluster-00" {
		t.Errorf("the remote is drawn as %+v", lines)
	}
	if d := drawingOf(made(20, 1, always(verify.Pass))); !d.Everyone || len(d.Arcs) > 0 {
		t.Errorf("twenty clusters that all know each other have %d arcs", len(d.Arcs))
	}
	r := made(2, 1, always(verify.Pass))
	r.Members = nil
	if strings.Contains(drawn(t, r), "The mesh") {
		t.Error("a report that does not say how the mesh is laid out has a drawing")
	}
}

func TestWaterfall(t *testing.T) {
	t.Parallel()
	w := waterfallOf(failing().Steps)
	if w.Total != 10 || w.Changed != 0 || w.All != 3 {
		t.Errorf("%+v", w)
	}
	if b := w.Bars[1]; b.Start != "5%" || b.Width != "95%" || b.Mark.Word != "failed" || b.Mark.Mark != "✘" {
		t.Errorf("%+v", b)
	}
	if strings.Contains(drawn(t, made(2, 1, always(verify.Pass))), "Steps of") {
		t.Error("a report of verify has steps")
	}
}

func TestMatrixHasTheWorst(t *testing.T) {
	t.Parallel()
	for n, form := range map[int]string{2: "listed", 6: "worded", 20: "marked"} {
		r := made(n, 2, always(verify.Pass))
		r.Checks[0].Status = verify.Fail // from the first to the second
		r.Checks[1].Status = verify.Warn
		m := matrixOf(r)
		c := m.Rows[0].Cells[1]
		if m.Form != form || c.Status.Name != "fail" || c.Codes != "fp" || c.Text != "suite-0" || m.Passed != n*(n-1)-1 {
			t.Errorf("%d clusters: %s, %d passed, %+v", n, m.Form, m.Passed, c)
		}
		if s := c.Suites[0]; s.Passed != 1 || s.Of != 3 {
			t.Errorf("%+v", s)
		}
	}
}

func TestCard(t *testing.T) {
	t.Parallel()
	for n, words := range map[int][]string{
		1:  {"passed"},
		2:  {"cluster-00 → cluster-01", "suite-1", "usmesh", "meshfed 0.1.0 · 2026-11-22 08:00:00 UTC", "12 pass in 7.2 s"},
		20: {"380 of 380 ordered pairs passed, 20 clusters"},
		60: {"3540 of 3540 ordered pairs passed, 60 clusters"},
	} {
		r := made(n, 2, always(verify.Pass))
		if n == 1 {
			r.Summary[verify.Pass] = 1
		}
		data, err := Card(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if !strings.Contains(string(data), w) {
				t.Errorf("%d clusters: %q is missing in\n%s", n, w, data)
			}
		}
		if len(data) > 200_000 {
			t.Errorf("%d clusters: %d bytes", n, len(data))
		}
		wellFormed(t, data)
	}
	bad := hostile()
	bad.Topology = "a\x00b\x1b[31m\xff" + bad.Topology
	data, err := Card(bad)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, data)
}

// TestCards: the cards in docs are those of the recorded reports.
func TestCards(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"passing", "failing"} {
		got, err := Card(recorded(t, name))
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("..", "..", "docs", "reports", name+".svg"), got)
	}
}

// recorded is a report of a real run.
func recorded(t *testing.T, name string) *verify.Report {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r verify.Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func wellFormed(t *testing.T, data []byte) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(data)))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
	}
}
