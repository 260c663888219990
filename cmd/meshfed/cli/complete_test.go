// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"strings"
	"testing"
)

// offered are the words that a shell would offer, without descriptions.
func offered(t *testing.T, words ...string) []string {
	t.Helper()
	r := call(t, append([]string{"__complete"}, words...)...)
	if r.code != 0 || strings.Contains(strings.ToLower(r.err+r.stdout), "error") {
		t.Errorf("%q: %+v", words, r)
	}
	var offers []string
	for line := range strings.Lines(r.stdout) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); word != "" && !strings.HasPrefix(word, ":") {
			offers = append(offers, word)
		}
	}
	return offers
}

func TestCompletions(t *testing.T) {
	h := newHost(t)
	broken := file(t, strings.Replace(least, "spec: {", "spec: {nosuch: 1, ", 1))
	for _, test := range []struct{ line, want string }{
		{"ver", "verify version"},
		{"pla", "plan"},
		{"in", "init"}, // inspect is not built
		{"verify -f " + example + " --clusters |", "west east"},
		{"verify -f " + example + " --clusters west,|", "west,east"},
		{"up -f " + example + " --clusters east,|", "east,west"},
		{"kubeconfig -f " + example + " |", "west east"},
		{"kubeconfig -f " + example + " west |", ""},
		{"kubeconfig -f " + broken + " |", "west east"},
		{"kubeconfig -f nosuch.yaml |", ""},
		{"kubeconfig -f - |", ""},
		{"validate -f " + example + " --set metadata.name=x --clusters |", "west east"},
		{"verify --suite trust,weights,|", "trust,weights,discovery trust,weights,locality trust,weights,failover trust,weights,authorization trust,weights,gateway trust,weights,dns trust,weights,services"},
		{"verify --suite |", strings.Join([]string{"trust", "discovery", "weights", "locality", "failover", "authorization", "gateway", "dns", "services"}, " ")},
		{"up --verify |", "auto always full never"},
		{"plan -o |", "table json dot commands"},
		{"status -o |", "table json"},
		{"env --shell |", "sh fish powershell"},
		{"verify --report |", "html svg md json xml"},
		{"render --o|", "--output"},
		{"up --pl|", "--plan"},
		{"status |", ""},
		{"bundle |", ""},
		{"completion |", "bash zsh fish powershell"},
	} {
		words := strings.Fields(test.line)
		if last := len(words) - 1; words[last] == "|" {
			words[last] = ""
		} else {
			words[last] = strings.TrimSuffix(words[last], "|")
		}
		got := offered(t, words...)
		if test.line == "bundle |" {
			continue // its verbs are the lead command's own business; it must only be silent
		}
		if !sameWords(got, strings.Fields(test.want)) {
			t.Errorf("%s offers %q, want %q", test.line, got, test.want)
		}
	}
	if len(h.argv()) > 0 {
		t.Errorf("a key press asked the engine: %q", h.argv())
	}
	h.madeNothing()
}

func sameWords(a, b []string) bool {
	return strings.Join(sorted(strings.Join(a, "\n")), " ") == strings.Join(sorted(strings.Join(b, "\n")), " ")
}

// TestCompletionIsSilent: nothing that is wrong with the environment goes into a command line
// that is being typed.
func TestCompletionIsSilent(t *testing.T) {
	for name, value := range map[string]string{"MESHFED_PARALLEL": "many", "MESHFED_OUTPUT": "xml", "MESHFED_CLUSTERS": "nosuch", "MESHFED_WATCH": "true"} {
		t.Setenv(name, value)
	}
	t.Setenv("MESHFED_FILE", example)
	if got := offered(t, "kubeconfig", ""); !sameWords(got, []string{"west", "east"}) {
		t.Errorf("%q", got)
	}
	if got := offered(t, "stat"); !sameWords(got, []string{"status"}) {
		t.Errorf("%q", got)
	}
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("topology.yaml", []byte("a: [\n"), 0o600))
	t.Setenv("MESHFED_FILE", "topology.yaml")
	if got := offered(t, "kubeconfig", ""); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
