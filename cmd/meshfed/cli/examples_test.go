// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// TestExamplesAreTrue holds the workflows of examples/ci and the commands of the README and of
// documents against the program: every command, flag, report and MESHFED_ variable that they name is
// built. Nothing is run.
func TestExamplesAreTrue(t *testing.T) {
	t.Parallel()
	cases := map[string]int{
		"../../../examples/ci/github-actions.yaml": 6,
		"../../../examples/ci/gitlab-ci.yml":       6,
		"../../../docs/install.md":                 5,
		"../../../docs/images.md":                  8,
		"../../../docs/gitops.md":                  2,
		"../../../README.md":                       5,
	}
	for file, least := range cases {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			if strings.HasSuffix(file, ".md") {
				texts = append(blocks(string(data), "console"), blocks(string(data), "sh")...)
			} else {
				var workflow any
				if err := yaml.UnmarshalStrict(data, &workflow); err != nil {
					t.Fatal(err)
				}
				texts = scripts(workflow)
			}
			found := 0
			for _, words := range commandLines(strings.Join(texts, "\n")) {
				found++
				if err := parses(words); err != nil {
					t.Errorf("meshfed %s: %v", strings.Join(words, " "), err)
				}
			}
			if found < least {
				t.Errorf("%d commands of meshfed, want at least %d: does the test still find them?", found, least)
			}
			for _, name := range regexp.MustCompile(`MESHFED_[A-Z_]+`).FindAllString(string(data), -1) {
				flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "MESHFED_"), "_", "-"))
				if (&app{}).root().PersistentFlags().Lookup(flag) == nil {
					t.Errorf("%s stands for --%s, which does not exist", name, flag)
				}
			}
		})
	}
}

// TestExamplesFindWhatIsWrong: the test above sees a command that is not built.
func TestExamplesFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	for line, wrong := range map[string]bool{
		"meshfed verify --report a.xml --report b.md":     false,
		`x=1; meshfed up --verify never || x=$?`:          false,
		"if a; then meshfed status; fi":                   false,
		`eval "$(meshfed env)"`:                           false,
		"meshfed verify --report a.pdf":                   true,
		"meshfed verify --nosuch":                         true,
		"meshfed verify --disruptive":                     false,
		"meshfed measure":                                 true,
		"meshfed up topology.yaml":                        true,
		"true && meshfed up --verify sometimes":           true,
		"meshfed bundle nosuch":                           true,
		"go install example.org/meshfed/cmd/meshfed@main": false,
	} {
		var errs []error
		for _, words := range commandLines(line) {
			if err := parses(words); err != nil {
				errs = append(errs, err)
			}
		}
		if (len(errs) > 0) != wrong {
			t.Errorf("%s: %v", line, errs)
		}
	}
}

// scripts are all texts of a workflow that a shell runs.
func scripts(node any) []string {
	var texts []string
	switch n := node.(type) {
	case map[string]any:
		for key, value := range n {
			switch list := value.(type) {
			case string:
				if key == "run" {
					texts = append(texts, list)
				}
			case []any:
				for _, item := range list {
					if text, ok := item.(string); ok && strings.HasSuffix(key, "script") {
						texts = append(texts, text)
					}
				}
			}
			texts = append(texts, scripts(value)...)
		}
	case []any:
		for _, item := range n {
			texts = append(texts, scripts(item)...)
		}
	}
	return texts
}

// commandLines are the words after each meshfed that a shell would run.
func commandLines(text string) [][]string {
	var lines [][]string
	for _, line := range regexp.MustCompile(`\n|;|&&|\|\|?|\$\(|\)`).Split(strings.ReplaceAll(text, "\\\n", " "), -1) {
		words := strings.Fields(strings.ReplaceAll(line, `"`, ""))
		for len(words) > 0 && slices.Contains([]string{"$", "sudo", "then", "else", "do", "-"}, words[0]) {
			words = words[1:]
		}
		if len(words) > 0 && words[0] == "meshfed" {
			lines = append(lines, words[1:])
		}
	}
	return lines
}

// parses says what is wrong with a command line, without running it.
func parses(words []string) error {
	for i, w := range words {
		if strings.HasPrefix(w, ">") || strings.HasPrefix(w, "<") || strings.HasPrefix(w, "#") {
			words = words[:i]
			break
		}
	}
	a := &app{}
	root := a.root()
	root.InitDefaultHelpCmd()
	c, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if c == root && len(rest) > 0 || c.Hidden {
		return fmt.Errorf("there is no such command")
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	// What stands for something else, as FILE does, is not held against the forms of that.
	if !slices.ContainsFunc(words, regexp.MustCompile(`[A-Z]{3}`).MatchString) {
		if err := c.ValidateArgs(c.Flags().Args()); err != nil {
			return err
		}
	}
	return built(a, c)
}

// built refuses flags and values that exist by name only.
func built(a *app, c *cobra.Command) error {
	var err error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		switch {
		case !f.Changed || err != nil:
		case f.Hidden:
			err = fmt.Errorf("--%s is not built", f.Name)
		case f.Name == "verify" && !slices.Contains(verifyModes, f.Value.String()):
			err = fmt.Errorf("--verify %s does not exist", f.Value)
		}
	})
	for _, path := range a.reports {
		if reportForm(filepath.Ext(path)) == nil {
			err = fmt.Errorf("--report %s: no such form", path)
		}
	}
	return err
}
