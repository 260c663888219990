// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// stdin is the name of a file that stands for standard input or output.
const stdin = "-"

// read reads the topology file; every problem is exit code 2. What was read is kept, for
// reports about what comes after.
func (a *app) read() (*topology.Topology, error) {
	t, err := a.parse()
	if err != nil {
		return nil, usage(err)
	}
	a.topology = t
	return t, nil
}

func (a *app) parse() (*topology.Topology, error) {
	if a.file == stdin {
		data, err := a.input()
		if err != nil {
			return nil, err
		}
		return topology.Read("<stdin>", bytes.NewReader(data), ".", a.set...)
	}
	t, err := topology.Load(a.file, a.set...)
	if _, serr := os.Stat(a.file); err != nil && errors.Is(serr, fs.ErrNotExist) {
		err = diag.Hint(err, "name the file with -f; `meshfed init` writes a small one")
	}
	return t, err
}

// input is standard input, which can be read only once.
func (a *app) input() ([]byte, error) {
	if a.inputRead == nil {
		var in io.Reader = strings.NewReader("")
		if a.In != nil {
			in = a.In
		}
		data, err := io.ReadAll(io.LimitReader(in, topology.MaxFileSize+1))
		if err != nil {
			return nil, diag.Hint(fmt.Errorf("reading the topology from standard input: %w", err), "write `meshfed validate -f - < topology.yaml`")
		}
		a.inputRead = append([]byte{}, data...)
	}
	return a.inputRead, nil
}
