// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// TestReadmeIsTrue holds the README against the program: the topology in ten lines is valid,
// the wrong one is refused in exactly the words that are shown, every command that is named
// exists, and the transcript's matrix has the suites that there are.
func TestReadmeIsTrue(t *testing.T) {
	data, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	files := blocks(readme, "yaml")
	if len(files) != 2 {
		t.Fatalf("%d yaml blocks, want the ten lines and the wrong file", len(files))
	}
	if _, err := topology.Parse("README.md", []byte(files[0])); err != nil {
		t.Errorf("the topology in ten lines: %v", err)
	}

	t.Chdir(t.TempDir())
	if err := os.WriteFile(filepath.Join(".", "wrong.yaml"), []byte(files[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	code := Run(t.Context(), []string{"validate", "-f", "wrong.yaml"}, Streams{Out: &out, Err: &stderr})
	if code != diag.ExitUsage {
		t.Errorf("the wrong file gives exit code %d", code)
	}
	shown := ""
	for _, block := range blocks(readme, "console") {
		if _, rest, ok := strings.Cut(block, "$ meshfed validate -f wrong.yaml\n"); ok {
			shown = rest
		}
	}
	if diff := cmp.Diff(shown, stderr.String()); diff != "" {
		t.Errorf("what the README shows of the wrong file (-README +program):\n%s", diff)
	}

	root := (&app{}).root()
	for _, match := range regexp.MustCompile("`meshfed ([a-z]+)").FindAllStringSubmatch(readme, -1) {
		if c, _, err := root.Find(match[1:]); err != nil || c == root {
			t.Errorf("the README names `meshfed %s`, which does not exist", match[1])
		}
	}
	for _, suite := range verify.Suites() {
		if !strings.Contains(readme, suite) {
			t.Errorf("the README does not show suite %s", suite)
		}
	}
}

// blocks returns the fenced blocks of a language, in order.
func blocks(markdown, language string) []string {
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(markdown, -1) {
		found = append(found, match[1])
	}
	return found
}
