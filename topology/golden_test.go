// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/golden"
)

// TestWrongFiles loads every file of testdata/wrong and compares all that is told about it.
// Lines "# set: path=value" at its top are --set arguments.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	files := globOf(t, "testdata/wrong/*.yaml")
	if len(files) < 150 {
		t.Errorf("only %d wrong files, want at least 150", len(files))
	}
	for _, file := range files {
		t.Run(name(file), func(t *testing.T) {
			t.Parallel()
			_, err := Load(file, setsOf(t, file)...)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("Load gave %v, want Problems", err)
			}
			checkProblems(t, file, problems)
			golden.Check(t, strings.TrimSuffix(file, ".yaml")+".golden", problems.Error()+"\n")
		})
	}
}

// TestGoodFiles compares what is loaded, with defaults and allocation, as JSON.
func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for _, file := range globOf(t, "testdata/good/*.yaml") {
		t.Run(name(file), func(t *testing.T) {
			t.Parallel()
			loaded, err := Load(file, setsOf(t, file)...)
			if err != nil {
				t.Fatal(err)
			}
			text := asJSON(t, loaded)
			for _, w := range loaded.Warnings {
				text += "warning: " + w.String() + "\n"
			}
			golden.Check(t, strings.TrimSuffix(file, ".yaml")+".golden", text)
			assertDisjoint(t, loaded)
		})
	}
}

// TestLoadedTopologyLoadsAgain writes a loaded topology as JSON, which is YAML too, and loads
// it: every default that is written out must be accepted and mean the same.
func TestLoadedTopologyLoadsAgain(t *testing.T) {
	t.Parallel()
	files := append(globOf(t, "testdata/good/*.yaml"), globOf(t, "../examples/*/topology.yaml")...)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			first, err := Load(file, setsOf(t, file)...)
			if err != nil {
				t.Fatal(err)
			}
			second, err := Parse(file, []byte(asJSON(t, first)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, first), asJSON(t, second)); diff != "" {
				t.Errorf("changed by loading again (-first +second):\n%s", diff)
			}
		})
	}
}

func TestExamplesLoad(t *testing.T) {
	t.Parallel()
	for _, file := range globOf(t, "../examples/*/topology.yaml") {
		loaded, err := Load(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(loaded.Warnings) > 0 {
			t.Errorf("warnings: %v", loaded.Warnings)
		}
		if want := filepath.Dir(file); loaded.Dir != want {
			t.Errorf("Dir is %q, want %q", loaded.Dir, want)
		}
		assertDisjoint(t, loaded)
	}
}

// TestExamplesSayWhatTheyAre: each folder has a short README, and what a comment offers instead
// of a line or beside it loads too.
func TestExamplesSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	offered := regexp.MustCompile(`(?m)^( *)# ((mirror|istio|images|containerNetwork|provider): .*)$`)
	tried := 0
	for _, file := range globOf(t, "../examples/*/topology.yaml") {
		readme := readOf(t, filepath.Join(filepath.Dir(file), "README.md"))
		if lines := strings.Count(string(readme), "\n"); !strings.HasPrefix(string(readme), "# ") || lines > 25 {
			t.Errorf("the README.md beside %s has %d lines, or no title", file, lines)
		}
		text := string(readOf(t, file))
		for _, at := range offered.FindAllStringSubmatchIndex(text, -1) {
			indent, line, key := text[at[2]:at[3]], text[at[4]:at[5]], text[at[6]:at[7]]
			before := text[:at[0]]
			if key == "mirror" { // instead of the one above
				before = regexp.MustCompile(`(?m)^ *mirror: .*\n`).ReplaceAllString(before, "")
			}
			tried++
			if _, err := Parse(file, []byte(before+indent+line+text[at[1]:])); err != nil {
				t.Errorf("%s offers %q, which gives %v", file, line, err)
			}
		}
	}
	if tried < 4 {
		t.Errorf("only %d offers were tried", tried)
	}
}

// checkProblems holds every problem to what users are promised.
func checkProblems(t testing.TB, file string, problems Problems) {
	t.Helper()
	if len(problems) == 0 {
		t.Fatal("no problem is told")
	}
	for _, p := range problems {
		if p.Message == "" || p.Fix == "" {
			t.Errorf("message or fix is missing: %+v", p)
		}
		if strings.ContainsAny(p.String(), "\n\r") {
			t.Errorf("a problem has more than one line: %q", p.String())
		}
		fromSet := strings.HasPrefix(p.File, "--set ")
		if !fromSet && (p.File != file || p.Line < 1 || p.Column < 1) {
			t.Errorf("file, line or column is missing: %+v", p)
		}
		if fromSet && p.Line != 0 {
			t.Errorf("a --set argument has no line: %+v", p)
		}
	}
}

func globOf(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func name(file string) string { return strings.TrimSuffix(filepath.Base(file), ".yaml") }

func setsOf(t *testing.T, file string) []string {
	t.Helper()
	return setsIn(readOf(t, file))
}

func setsIn(data []byte) []string {
	var sets []string
	for line := range strings.SplitSeq(string(data), "\n") {
		argument, ok := strings.CutPrefix(line, "# set: ")
		if !ok {
			break
		}
		sets = append(sets, argument)
	}
	return sets
}

func readOf(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func asJSON(t *testing.T, loaded *Topology) string {
	t.Helper()
	data, err := json.MarshalIndent(loaded, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "\n"
}
