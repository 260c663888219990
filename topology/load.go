// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"io"
	"os"
	"path/filepath"
)

// MaxFileSize is the largest topology file that is read, in bytes: 1 MiB.
const MaxFileSize = 1 << 20

// Stdin is the path that stands for standard input.
const Stdin = "-"

// MaxDepth is how deep lists and mappings may be nested.
const MaxDepth = 64

// MaxItems is the longest list that a field of ours may hold; Helm values have no limit.
const MaxItems = 200

// MaxProblems is how many problems of one file are told; of more, only how many there are.
const MaxProblems = 200

// Load reads a topology file and the local files that it names. Each set argument is
// path=value and is laid over the file before anything is checked. The error is Problems
// whenever the content is at fault, and also when the file can not be read.
// The path "-" is standard input, whose relative paths resolve against the working directory.
func Load(path string, set ...string) (*Topology, error) {
	if path == Stdin {
		return Read("<stdin>", os.Stdin, ".", set...)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, Problems{{File: path, Message: "can not be read: " + reason(err), Fix: "name a readable topology file with -f"}}
	}
	return parse(path, data, set, filepath.Dir(path), true)
}

// Read is Load for a file that comes as a stream. The name stands for it in problems, and
// relative paths in it resolve against dir.
func Read(name string, r io.Reader, dir string, set ...string) (*Topology, error) {
	data, err := readAtMost(r, MaxFileSize+1)
	if err != nil {
		return nil, Problems{{File: name, Message: "can not be read: " + reason(err), Fix: "name a readable topology file with -f"}}
	}
	return parse(name, data, set, dir, true)
}

// Parse is Load for bytes: it reads no other file, so what the file names is not looked at.
// The name stands for the file in problems. The result has defaults filled in and subnets
// and ports allocated; it is a pure function of the arguments.
func Parse(name string, data []byte, set ...string) (*Topology, error) {
	return parse(name, data, set, ".", false)
}

func parse(name string, data []byte, set []string, dir string, files bool) (*Topology, error) {
	c := newCollector(name)
	root, ok := readTree(c, data)
	if !ok {
		return nil, c.told()
	}
	d := decoder{collector: c, origin: applySets(c, root, set)}
	if !d.shallow("", root, MaxDepth) {
		return nil, c.told()
	}
	t := &Topology{Dir: dir, file: name, said: c.places}
	preset(t)
	d.topology(root, t)
	t.derive()
	allocate(t)
	c.validate(t)
	if files {
		c.checkFiles(t)
	}
	c.refuse()
	if len(c.problems) > 0 {
		return nil, c.told()
	}
	t.Warnings = c.warnings.sorted()
	return t, nil
}

// readFile reads at most one byte more than is allowed, so that no huge file is held.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAtMost(f, MaxFileSize+1)
}
