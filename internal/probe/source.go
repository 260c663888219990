// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// Source is the source of this package, tests included.
//
//go:embed *.go
var Source embed.FS

// ModulePath is the module that Module lays out; the same as the program's, so that the
// import in the main package holds in both.
const ModulePath = "github.com/meshfed/meshfed"

// MainPackage is where the main package lies inside that module.
const MainPackage = "cmd/meshfed-probe"

// MainSource is cmd/meshfed-probe/main.go, which cannot be embedded from here.
const MainSource = `// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Command meshfed-probe is the server and client that verify sends into the mesh.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshfed/meshfed/internal/probe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := probe.Main(ctx, os.Args[1:], os.Getenv, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}
`

// Module returns a module of its own that holds the probe and nothing else, by slash
// separated path: go.mod, the main package and this package without its tests.
// "go build ./cmd/meshfed-probe" in it needs no network.
func Module(goVersion string) (map[string][]byte, error) {
	files := map[string][]byte{
		"go.mod":                 fmt.Appendf(nil, "module %s\n\ngo %s\n", ModulePath, goVersion),
		MainPackage + "/main.go": []byte(MainSource),
	}
	names, err := fs.Glob(Source, "*.go")
	if err != nil {
		return nil, fmt.Errorf("listing the probe's source: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := Source.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the probe's source: %w", err)
		}
		files["internal/probe/"+name] = data
	}
	return files, nil
}
