// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// node is one thing that a screen reader tells.
type node struct {
	role, name string
	level      string
}

// told is the accessibility tree of the page, in its order.
func told(o *tab) []node {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.ctx, patience)
	defer cancel()
	tree, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	if err != nil {
		o.Fatal(err)
	}
	word := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		return strings.Trim(string(v.Value), `"`)
	}
	var all []node
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		one := node{role: word(n.Role), name: word(n.Name)}
		for _, p := range n.Properties {
			if p.Name == accessibility.PropertyNameLevel {
				one.level = word(p.Value)
			}
		}
		all = append(all, one)
	}
	return all
}

// spoken: everything that can be used or looked at has a name, headings have an order, tables
// are tables, and outcomes are words.
func spoken(t *testing.T, b context.Context) {
	r := recorded(t, "failing")
	o := open(t, b, drawn(t, r), desktop())
	script[any](o, `for (const d of document.querySelectorAll("details")) d.open = true`)
	nodes := told(o)
	count := map[string]int{}
	last := ""
	for _, n := range nodes {
		count[n.role]++
		named := []string{"link", "button", "combobox", "searchbox", "textbox", "image", "img", "table", "columnheader", "rowheader", "heading", "DisclosureTriangle", "DisclosureTriangleGrouped", "region", "search"}
		if slices.Contains(named, n.role) && strings.TrimSpace(n.name) == "" {
			t.Errorf("a %s has no name", n.role)
		}
		if n.role == "heading" {
			if last != "" && n.level > last && n.level[0] != last[0]+1 {
				t.Errorf("heading %q of level %s follows one of level %s", n.name, n.level, last)
			}
			last = n.level
		}
	}
	clusters := len(r.Clusters)
	for role, least := range map[string]int{
		"main": 1, "banner": 1, "contentinfo": 1, "search": 1, "status": 1, "combobox": 4, "searchbox": 1, "button": 1, "table": 2,
		"columnheader": clusters, "rowheader": clusters + len(r.Steps), "link": clusters * (clusters - 1) * len(r.Suites), "heading": 5,
	} {
		if count[role] < least {
			t.Errorf("%d of role %s, want %d or more; there are %v", count[role], role, least, count)
		}
	}
	if n := slices.IndexFunc(nodes, func(n node) bool {
		return n.role == "link" && strings.Contains(n.name, "discovery") && strings.Contains(n.name, "failed") && strings.Contains(n.name, r.Clusters[1]+" to "+r.Clusters[0])
	}); n < 0 {
		t.Error("no cell of the matrix says that discovery failed and from where to where")
	}
	if n := slices.IndexFunc(nodes, func(n node) bool {
		return (n.role == "image" || n.role == "img") && strings.Contains(n.name, "Answers over time") && strings.Contains(n.name, "fault at")
	}); n < 0 {
		t.Error("no time line is told in words")
	}
}
