// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestShellsReadWhatIsWritten: values come through a shell unharmed, under `set -u`.
func TestShellsReadWhatIsWritten(t *testing.T) {
	t.Parallel()
	value := `/it's/a "$HOME" \path` + "`x`" + `\\`
	for name, test := range map[string]struct {
		program string
		args    func(text string) []string
	}{
		"sh": {"/bin/sh", func(text string) []string { return []string{"-euc", text + `printf '%s|%s' "$A_B" "$EMPTY"`} }},
		"bash": {"/bin/bash", func(text string) []string {
			return []string{"-euc", `eval "$1"; printf '%s|%s' "$A_B" "$EMPTY"`, "-", text}
		}},
		"fish": {"/usr/bin/fish", func(text string) []string { return []string{"-c", text + `printf '%s|%s' $A_B $EMPTY`} }},
		"powershell": {"/usr/bin/pwsh", func(text string) []string {
			return []string{"-NoProfile", "-c", text + `[Console]::Write("$Env:A_B|$Env:EMPTY")`}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(test.program); err != nil {
				t.Skip(test.program + " is not installed")
			}
			set := shells()[name]
			out, err := exec.CommandContext(t.Context(), test.program, test.args(set("A_B", value)+set("EMPTY", ""))...).CombinedOutput()
			if err != nil || string(out) != value+"|" {
				t.Errorf("%v: %q, want %q", err, out, value+"|")
			}
		})
	}
	for name, want := range map[string]string{"fish": `set -gx A 'it\'s \\'` + "\n", "powershell": `$Env:A = 'it''s \'` + "\n", "zsh": `export A='it'\''s \'` + "\n"} {
		if got := shells()[name]("A", `it's \`); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestEnvCommandLine(t *testing.T) {
	h := newHost(t)
	call(t, "env", "--shell", "tcsh", "-f", example).hinted(t, wrong, `there is no shell "tcsh"`, "sh, fish or powershell")
	h.call("env", "-f", example).hinted(t, failed, "usmesh-west: the cluster does not exist", "`meshfed up -f "+example+" --state-dir "+h.state+"` makes what is missing")
	if object := asJSON(t, failed, "env", "-f", example, "--state-dir", h.state, "-o", "json"); len(object.Hints) != 1 {
		t.Errorf("%q", object.Hints)
	}
	h.madeNothing()
}

// TestVariables: a fixed order, names that shells take, and every cluster's kubeconfig.
func TestVariables(t *testing.T) {
	t.Parallel()
	places := []place{
		{cluster: "us-west", context: "m-us-west", kubeconfig: "/s/us-west", ingress: "http://127.0.0.1:30000"},
		{cluster: "e", context: "m-e", kubeconfig: "/s/e", eastWest: "10.90.0.5:15443"},
	}
	var lines []string
	for _, v := range variablesOf(places) {
		lines = append(lines, v[0]+"="+v[1])
	}
	want := []string{"KUBECONFIG=/s/us-west" + string(filepath.ListSeparator) + "/s/e",
		"CTX_US_WEST=m-us-west", "INGRESS_US_WEST=http://127.0.0.1:30000", "EASTWEST_US_WEST=", "CTX_E=m-e", "INGRESS_E=", "EASTWEST_E=10.90.0.5:15443"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", lines)
	}
}
