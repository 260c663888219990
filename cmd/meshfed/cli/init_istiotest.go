// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// writeIstioTest writes the topology that a file of Istio's own tests describes.
func (a *app) writeIstioTest(path, tests string) error {
	data, err := a.readFrom(tests)
	if err != nil {
		return usage(diag.Hint(fmt.Errorf("reading a topology of Istio's tests: %w", err), "name a file such as prow/config/topology/multicluster.json of istio.io/istio"))
	}
	name := tests
	if tests == stdin {
		name = "<stdin>"
	}
	imported, notes, err := topology.FromIstioTest(name, data, starterName(path))
	if err != nil {
		return usage(err)
	}
	text, err := imported.File("Written by `meshfed init` from " + filepath.Base(name) + " of Istio's tests.")
	if err != nil {
		return err
	}
	text = append([]byte("# yaml-language-server: $schema=./"+topology.SchemaFile+"\n"), text...)
	if err := a.writeTopology(path, imported.Metadata.Name, "up", text); err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintf(a.Err, "note: %s\n", note)
	}
	// What does not load is written all the same: it is what the input says, and the user's to change.
	if _, err := topology.Parse(path, text); err != nil {
		fmt.Fprintf(a.Err, "warning: to be changed before it is used:\n%v\n", err)
	}
	return nil
}

// readFrom reads a file, or standard input for -, of at most a topology file's size.
func (a *app) readFrom(path string) ([]byte, error) {
	if path == stdin {
		return a.input()
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, topology.MaxFileSize+1))
}
