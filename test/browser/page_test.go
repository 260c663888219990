// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/meshfed/meshfed/verify"
	"github.com/meshfed/meshfed/verify/page"
)

// TestPage looks at the page as people do.
func TestPage(t *testing.T) {
	t.Parallel()
	b := start(t)
	t.Run("renders", func(t *testing.T) { renders(t, b) })
	t.Run("filters", func(t *testing.T) { filters(t, b) })
	t.Run("opens evidence by keyboard", func(t *testing.T) { opens(t, b) })
	t.Run("fits a phone", func(t *testing.T) { fits(t, b) })
	t.Run("dark and light are readable", func(t *testing.T) { readable(t, b) })
	t.Run("prints", func(t *testing.T) { prints(t, b) })
	t.Run("reads without the script", func(t *testing.T) { scriptless(t, b) })
	t.Run("twenty clusters", func(t *testing.T) { twenty(t, b) })
	t.Run("screen reader", func(t *testing.T) { spoken(t, b) })
	t.Run("hostile words", func(t *testing.T) { harmless(t, b) })
	t.Run("card", func(t *testing.T) { card(t, b) })
}

// visible is the number of elements of a selector that somebody can see.
func visible(o *tab, selector string) int {
	o.Helper()
	return script[int](o, fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((e) => e.checkVisibility()).length`, selector))
}

func renders(t *testing.T, b context.Context) {
	for name, says := range map[string]string{"passing": "passed", "failing": "failed"} {
		r := recorded(t, name)
		o := open(t, b, drawn(t, r), desktop())
		if heading := script[string](o, `document.querySelector("h1").innerText`); !strings.Contains(heading, r.Topology) || !strings.Contains(heading, says) {
			t.Errorf("%s: the heading is %q", name, heading)
		}
		n := len(r.Clusters)
		if cells := visible(o, "#matrix tbody td"); cells != n*n {
			t.Errorf("%s: the matrix has %d cells, want %d", name, cells, n*n)
		}
		if suites := visible(o, "#matrix tbody a"); suites != n*(n-1)*len(r.Suites) {
			t.Errorf("%s: the matrix has %d suites of pairs, want %d", name, suites, n*(n-1)*len(r.Suites))
		}
		if all := script[int](o, `document.querySelectorAll(".check").length`); all != len(r.Checks) {
			t.Errorf("%s: %d checks, want %d", name, all, len(r.Checks))
		}
		// What failed is seen without a click, the rest is folded.
		if seen := visible(o, ".check"); seen != r.Summary[verify.Fail]+r.Summary[verify.Inconclusive]+r.Summary[verify.Warn] {
			t.Errorf("%s: %d checks are open to see", name, seen)
		}
		lines := 0
		for _, c := range r.Checks {
			if c.Evidence["timeline"] != nil {
				lines++
			}
		}
		drawnWide := script[int](o, `[...document.querySelectorAll("figure .plot path")].map((p) => p.closest("figure")).filter((f, i, all) => all.indexOf(f) === i && f.querySelector("path").getBoundingClientRect().width > 200).length`)
		if lines == 0 || drawnWide != lines {
			t.Errorf("%s: %d time lines are drawn of %d", name, drawnWide, lines)
		}
		if boxes := visible(o, ".mesh .box"); boxes != n {
			t.Errorf("%s: the drawing has %d clusters", name, boxes)
		}
		if bars := visible(o, ".steps tbody tr"); bars != len(r.Steps) {
			t.Errorf("%s: %d steps of %d", name, bars, len(r.Steps))
		}
		o.quiet()
	}
}

func filters(t *testing.T, b context.Context) {
	r := recorded(t, "failing")
	o := open(t, b, drawn(t, r), desktop())
	count := func(matches func(verify.Result) bool) int {
		n := 0
		for _, c := range r.Checks {
			if matches(c) {
				n++
			}
		}
		return n
	}
	shows := func(what string, want int) {
		t.Helper()
		o.until(what, fmt.Sprintf(`document.getElementById("shown").textContent === "%d of %d checks"`, want, len(r.Checks)))
		if seen := visible(o, ".check"); want == 0 || seen != want {
			t.Errorf("%s: %d checks are seen, want %d", what, seen, want)
		}
	}
	o.do(chromedp.Focus(chromedp.CSS("#filter [name=text]")), chromedp.KeyEvent("FED001"))
	shows("text", count(func(c verify.Result) bool { return c.Code == "FED001" }))
	o.do(chromedp.Click(chromedp.CSS("#filter button")))
	o.until("an empty filter", fmt.Sprintf(`document.getElementById("shown").textContent === "%d checks"`, len(r.Checks)))
	o.do(chromedp.Focus(chromedp.CSS("#filter [name=status]")), chromedp.KeyEvent("failed"))
	shows("outcome", r.Summary[verify.Fail])
	o.do(chromedp.Click(chromedp.CSS("#filter button")), chromedp.Focus(chromedp.CSS("#filter [name=suite]")), chromedp.KeyEvent(r.Suites[1]))
	shows("suite", count(func(c verify.Result) bool { return c.Suite == r.Suites[1] }))
	from, to := r.Clusters[1], r.Clusters[0]
	o.do(chromedp.Focus(chromedp.CSS("#filter [name=from]")), chromedp.KeyEvent(from))
	shows("cluster", count(func(c verify.Result) bool { return c.Suite == r.Suites[1] && (c.From == "" || c.From == from) }))
	// A cell of the matrix is a filter, too.
	o.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`#matrix a[data-from=%q][data-to=%q][data-suite=%q]`, from, to, r.Suites[0]))))
	shows("cell", count(func(c verify.Result) bool {
		return c.Suite == r.Suites[0] && (c.From == "" || c.From == from) && (c.To == "" || c.To == to)
	}))
	o.quiet()
}

// focused is the text of what has the focus.
const focused = `document.activeElement.innerText`

func opens(t *testing.T, b context.Context) {
	r := recorded(t, "passing")
	o := open(t, b, drawn(t, r), desktop())
	if n := visible(o, ".evidence"); n != 0 {
		t.Fatalf("%d evidences are open", n)
	}
	tabTo := func(selector string) {
		t.Helper()
		for range 200 {
			o.do(chromedp.KeyEvent(kb.Tab))
			if script[bool](o, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
				return
			}
		}
		t.Fatalf("Tab does not lead to %s, it ends at %q", selector, script[string](o, focused))
	}
	tabTo(".group > summary")
	if !script[bool](o, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
		t.Error("the focus is not seen")
	}
	o.do(chromedp.KeyEvent(kb.Enter))
	tabTo(".check > summary")
	o.do(chromedp.KeyEvent(" "))
	o.until("evidence", `[...document.querySelectorAll(".evidence")].filter((e) => e.checkVisibility()).length === 1`)
	text := script[string](o, `[...document.querySelectorAll(".evidence")].find((e) => e.checkVisibility()).innerText`)
	first := r.Checks[slices.IndexFunc(r.Checks, func(c verify.Result) bool { return c.Suite == r.Suites[0] })]
	if see := first.See(); see == "" || !strings.Contains(text, see) {
		t.Errorf("the evidence is %q and lacks %q", text, see)
	}
	for key := range maps.Keys(first.Evidence) {
		if key != "see" && !strings.Contains(text, key) {
			t.Errorf("the evidence is %q and lacks %s", text, key)
		}
	}
	o.quiet()
}

func fits(t *testing.T, b context.Context) {
	long := many(3)
	long.Topology = strings.Repeat("long", 20)
	long.Checks[0].Message = strings.Repeat("x", 500)
	long.Checks[0].Evidence = verify.Evidence{strings.Repeat("key", 40): strings.Repeat("value", 200), "see": strings.Repeat("kubectl", 60)}
	for name, r := range map[string]*verify.Report{"passing": recorded(t, "passing"), "failing": recorded(t, "failing"), "twenty": many(20), "long": long} {
		for _, width := range []int64{320, 375} {
			o := open(t, b, drawn(t, r), shape{width: width, height: 700})
			script[any](o, `for (const d of document.querySelectorAll("details")) d.open = true`)
			if wide := script[int64](o, `document.documentElement.scrollWidth`); wide > width {
				widest := script[string](o, `[...document.body.querySelectorAll("*")].filter((e) => !e.closest(".scroll")).sort((a, b) => b.getBoundingClientRect().right - a.getBoundingClientRect().right)[0].outerHTML.slice(0, 200)`)
				t.Errorf("%s is %d wide on a screen of %d: %s", name, wide, width, widest)
			}
		}
	}
}

// faint lists visible text whose contrast with what is behind it is under 4.5:1, the least that
// WCAG 2.2 (1.4.3, level AA) asks for.
const faint = `(() => {
  const rgb = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const bad = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest("svg, script, .unseen, .dim")) continue;
    seen++;
    const a = light(rgb(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e).slice(0, 3));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.add(contrast.toFixed(1) + " " + e.className + ": " + walk.currentNode.data.trim().slice(0, 40));
  }
  for (const e of document.querySelectorAll(".plot text.name")) {
    const contrast = 1.05 / (light(rgb(getComputedStyle(e).stroke)) + 0.05); // white on its band
    if (contrast < 4.5) bad.add(contrast.toFixed(1) + " in a plot: " + e.textContent);
  }
  return seen < 50 ? ["only " + seen + " texts were seen"] : [...bad];
})()`

func readable(t *testing.T, b context.Context) {
	for _, dark := range []bool{false, true} {
		r := recorded(t, "failing")
		for i, s := range []verify.Status{verify.Warn, verify.Inconclusive, verify.Skip} {
			r.Checks[i].Status = s
			r.Summary[s]++
		}
		s := desktop()
		s.dark = dark
		o := open(t, b, drawn(t, r), s)
		script[any](o, `for (const d of document.querySelectorAll("details")) d.open = true`)
		if bad := script[[]string](o, faint); len(bad) > 0 {
			t.Errorf("dark %v: hard to read: %q", dark, bad)
		}
		if black := script[bool](o, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).every((c) => c < 60)`); black != dark {
			t.Errorf("dark %v: the page is dark: %v", dark, black)
		}
		o.quiet()
	}
}

func prints(t *testing.T, b context.Context) {
	path := drawn(t, recorded(t, "failing"))
	o := open(t, b, path, desktop())
	ctx, cancel := context.WithTimeout(o.ctx, patience)
	defer cancel()
	pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4)))
	if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF-")) || len(pdf) < 20_000 {
		t.Errorf("printed %d bytes: %v", len(pdf), err)
	}
	s := desktop()
	s.print, s.dark = true, true
	o = open(t, b, path, s)
	if visible(o, "#filter") != 0 {
		t.Error("a form is printed")
	}
	if paper := script[string](o, `getComputedStyle(document.body).backgroundColor`); paper != "rgb(255, 255, 255)" {
		t.Errorf("the paper is %s", paper)
	}
	if visible(o, `.check[data-status="fail"]`) == 0 {
		t.Error("what failed is not printed")
	}
}

func scriptless(t *testing.T, b context.Context) {
	r := recorded(t, "failing")
	s := desktop()
	s.scriptless = true
	o := open(t, b, drawn(t, r), s)
	if visible(o, "#filter") != 0 {
		t.Error("there is a filter that does nothing")
	}
	if visible(o, "#matrix tbody a") == 0 || visible(o, `.check[data-status="fail"]`) != r.Summary[verify.Fail] || visible(o, "figure") == 0 {
		t.Error("the matrix, what failed or the time lines can not be read")
	}
	o.do(chromedp.Click(chromedp.CSS(`.check[data-status="fail"] > summary`)))
	if visible(o, ".evidence") != 1 {
		t.Error("evidence does not open")
	}
	o.quiet()
}

// many is a report of n clusters that all know each other, with nine suites.
func many(n int) *verify.Report {
	r := &verify.Report{Topology: "many", Summary: map[verify.Status]int{}, DurationSeconds: 60}
	for i := range n {
		r.Clusters = append(r.Clusters, fmt.Sprintf("cluster-%02d", i))
	}
	for i := range 9 {
		r.Suites = append(r.Suites, fmt.Sprintf("suite-%d", i))
	}
	for _, from := range r.Clusters {
		r.Members = append(r.Members, verify.Member{Name: from, Network: "network-of-" + from, Primary: from, Workloads: true, EastWest: true, Knows: slices.DeleteFunc(slices.Clone(r.Clusters), func(c string) bool { return c == from })})
		for _, to := range r.Clusters {
			for _, suite := range r.Suites {
				for k := range 3 {
					if from == to {
						continue
					}
					c := verify.Result{ID: fmt.Sprintf("%s-%d", suite, k), Suite: suite, From: from, To: to, Status: verify.Pass, Message: "100 of 200 requests were answered",
						Evidence: verify.Evidence{"see": "kubectl get pods", "number": len(r.Checks)}}
					if from == r.Clusters[1] && to == r.Clusters[0] && suite == r.Suites[4] {
						c.Status = verify.Fail
					}
					r.Summary[c.Status]++
					r.Checks = append(r.Checks, c)
				}
			}
		}
	}
	return r
}

// twenty: what is packed is there when it is asked for.
func twenty(t *testing.T, b context.Context) {
	r := many(20)
	path := drawn(t, r)
	if info, err := os.Stat(path); err != nil || info.Size() >= page.Limit {
		t.Errorf("%v: %d bytes", err, info.Size())
	}
	o := open(t, b, path, desktop())
	if standing := script[int](o, `document.querySelectorAll(".check").length`); standing >= len(r.Checks) {
		t.Errorf("all %d checks stand in the page, so this tests nothing", standing)
	}
	cell := fmt.Sprintf(`#matrix a[data-from=%q][data-to=%q]`, r.Clusters[19], r.Clusters[18])
	o.do(chromedp.Click(chromedp.CSS(cell)))
	o.until("the checks of a pair", fmt.Sprintf(`document.getElementById("shown").textContent === "27 of %d checks"`, len(r.Checks)))
	if n := visible(o, ".check"); n != 27 {
		t.Errorf("%d checks are seen", n)
	}
	if text := script[string](o, `(() => { const c = [...document.querySelectorAll(".check")].filter((e) => e.checkVisibility()).pop(); c.open = true; return c.innerText; })()`); !strings.Contains(text, "kubectl get pods") {
		t.Errorf("the evidence is %q", text)
	}
	mark := func(from, to string) string {
		return script[string](o, fmt.Sprintf(`document.querySelector('#matrix a[data-from=%q][data-to=%q]').innerText.trim()`, from, to))
	}
	o.do(chromedp.Click(chromedp.CSS("#filter button")))
	o.until("an empty filter", fmt.Sprintf(`document.getElementById("shown").textContent === "%d checks"`, len(r.Checks)))
	if m := mark(r.Clusters[1], r.Clusters[0]); !strings.HasPrefix(m, "✘") || !strings.Contains(m, "failed") {
		t.Errorf("the pair that failed has %q", m)
	}
	for suite, want := range map[string]string{r.Suites[0]: "✔", r.Suites[4]: "✘"} {
		script[any](o, fmt.Sprintf(`(() => { const s = document.querySelector("#filter [name=suite]"); s.value = %q; s.dispatchEvent(new Event("input", { bubbles: true })); })()`, suite))
		o.until("the matrix of "+suite, fmt.Sprintf(`document.querySelector('#matrix a[data-from=%q][data-to=%q]').innerText.trim().startsWith(%q)`, r.Clusters[1], r.Clusters[0], want))
	}
	o.quiet()
}

// harmless: words of a report that are HTML or script are shown and do nothing.
func harmless(t *testing.T, b context.Context) {
	const evil = `<img src=x onerror="document.title='harm'"><script>document.title='harm'</script>`
	r := many(2)
	r.Clusters = append(r.Clusters, evil)
	r.Topology, r.Suites[0] = evil, evil
	for i := range r.Checks {
		r.Checks[i].Message, r.Checks[i].Variant, r.Checks[i].Evidence = evil, evil, verify.Evidence{evil: evil, "see": evil}
	}
	o := open(t, b, drawn(t, r), desktop())
	script[any](o, `for (const d of document.querySelectorAll("details")) d.open = true`)
	if title := script[string](o, `document.title`); title != evil+": failed – meshfed" {
		t.Errorf("the title is %q", title)
	}
	if script[int](o, `document.images.length`) != 0 {
		t.Error("it has an image")
	}
	if !strings.Contains(script[string](o, `document.querySelector(".message").innerText`), evil) {
		t.Error("the words are not shown as they are")
	}
	o.quiet()
}

// card: the picture has the size that it says, and its words stay inside of it.
func card(t *testing.T, b context.Context) {
	for name, r := range map[string]*verify.Report{"passing": recorded(t, "passing"), "failing": recorded(t, "failing"), "twenty": many(20)} {
		data, err := page.Card(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "card.svg")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, dark := range []bool{false, true} {
			s := desktop()
			s.dark = dark
			o := open(t, b, path, s)
			out := script[[]string](o, `[...document.querySelectorAll("text")].filter((t) => { const b = t.getBBox(); return b.x < 8 || b.x + b.width > document.documentElement.viewBox.baseVal.width - 8; }).map((t) => t.textContent)`)
			if len(out) > 0 {
				t.Errorf("%s: outside of the card: %q", name, out)
			}
			if black := script[bool](o, `getComputedStyle(document.querySelector(".b")).fill.match(/\d+/g).every((c) => c < 60)`); black != dark {
				t.Errorf("%s: dark %v: the card is dark: %v", name, dark, black)
			}
			o.quiet()
		}
	}
}
