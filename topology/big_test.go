// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"strings"
	"testing"
)

// largest are files of 1 MiB, the right ones and the wrong ones, each with what is most of it.
func largest() map[string]string {
	const clusters = "  clusters: [{name: west}, {name: east}]\n"
	fill := func(head, tail string, line func(i int) string) string {
		var b strings.Builder
		b.WriteString(header + head)
		for i := 0; b.Len()+len(tail)+len(line(i)) <= MaxFileSize; i++ {
			b.WriteString(line(i))
		}
		return b.String() + tail
	}
	same := func(s string) func(int) string { return func(int) string { return s } }
	number := func(s string) func(int) string { return func(i int) string { return fmt.Sprintf(s, i) } }
	const kind = "spec:\n  clusters:\n  - name: west\n    provider:\n      kind:\n        "
	return map[string]string{
		"comments":      fill("spec:\n"+clusters, "", same("# a comment of some length that says nothing, again and again\n")),
		"values":        fill("spec:\n"+clusters+"  istio:\n    values:\n      pilot:\n        env:\n", "", number("          A_SETTING_OF_SOME_LENGTH_%d: \"and the value that it has\"\n")),
		"short values":  fill("spec:\n"+clusters+"  istio: {values: {a: [", "1]}}\n", same("1, ")),
		"patch":         fill(kind+"patches:\n        - |\n          kind: KubeletConfiguration\n", "", number("          setting%d: value\n")),
		"labels":        fill(kind+"nodes:\n        - labels:\n", "", number("            example.com/a-label-of-some-length-%d: \"and-a-value\"\n")),
		"wrong keys":    fill("spec:\n"+clusters, "", number("  unknown_key_%d: 1\n")),
		"wrong values":  fill("spec:\n"+clusters+"  istio: {values: {a: [", "~]}}\n", same("~, ")),
		"wrong labels":  fill(kind+"nodes:\n        - labels:\n", "", number("            kubernetes.io/a%d: \"a b\"\n")),
		"same key":      fill("spec:\n"+clusters+"  istio:\n    values:\n", "", same("      a: b\n")),
		"aliases":       fill("x: &a b\ny: [", "*a]\nspec: {"+strings.TrimSpace(clusters)+"}\n", same("*a, ")),
		"tabs":          fill("", "", same("\ta\n")),
		"deep brackets": fill("spec: ", "\n", same("[")),
	}
}

// TestBigFilesAreBounded: however much is wrong with a file of the largest size, a person gets a
// list to read, and is told how much more there is.
func TestBigFilesAreBounded(t *testing.T) {
	t.Parallel()
	// How many problems each has: none, some, or more than are told.
	expected := map[string]string{
		"comments": "none", "values": "none", "short values": "none", "patch": "none", "labels": "none",
		"deep brackets": "some", "same key": "some", "aliases": "some",
		"wrong keys": "more", "wrong values": "more", "wrong labels": "more", "tabs": "more",
	}
	for what, text := range largest() {
		_, err := Parse("t.yaml", []byte(text))
		got := "none"
		if err != nil {
			lines := strings.Split(err.Error(), "\n")
			got = "some"
			if strings.HasSuffix(lines[len(lines)-1], " more problems (correct these first)") {
				got = "more"
			}
			if len(lines) > MaxProblems+1 || got == "more" && len(lines) <= MaxProblems {
				t.Errorf("%s: %d problems are told", what, len(lines))
			}
		}
		if got != expected[what] {
			t.Errorf("%s: %s problems are told, want %s: %.300v", what, got, expected[what], err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for what, text := range largest() {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				_, _ = Parse("t.yaml", []byte(text))
			}
		})
	}
}
