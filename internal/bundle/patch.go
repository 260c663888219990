// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// MetalLB's newest release that can be had is written for an older controller-runtime than the one
// that the Kubernetes libraries of all other components need. One call gained an argument; with
// it, MetalLB compiles with the same libraries as everything else.
const (
	patchFile = "internal/k8s/webhook.go"
	patchFrom = "conversion.NewWebhookHandler(mgr.GetScheme())"
	patchTo   = "conversion.NewWebhookHandler(mgr.GetScheme(), mgr.GetConverterRegistry())"
	patchNote = "one call adapted to controller-runtime 0.24"
	// patchDir is the patched copy's place beside go.mod, patchMod the module file that uses it.
	patchDir = "patched/metallb"
	patchMod = "metallb.mod"
	patchSum = "metallb.sum"
)

// writePatched copies the module in from, which the Go command has verified, into the workspace,
// with the patch, and writes the module file that replaces the module by the copy.
func writePatched(workspace, from string, mod, sum []byte) error {
	to := filepath.Join(workspace, filepath.FromSlash(patchDir))
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copying %s: %w", metallbModule, err)
	}
	file := filepath.Join(to, filepath.FromSlash(patchFile))
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("patching %s: %w", metallbModule, err)
	}
	if n := bytes.Count(data, []byte(patchFrom)); n != 1 {
		return fmt.Errorf("patching %s: %s has %q %d times, want once", metallbModule, patchFile, patchFrom, n)
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("patching %s: %w", metallbModule, err)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte(patchFrom), []byte(patchTo), 1), 0o644); err != nil {
		return fmt.Errorf("patching %s: %w", metallbModule, err)
	}
	replaced := append(bytes.Clone(mod), []byte("\nreplace "+metallbModule+" => ./"+patchDir+"\n")...)
	return writeFiles(workspace, map[string][]byte{patchMod: replaced, patchSum: sum})
}
