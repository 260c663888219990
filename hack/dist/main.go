// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Command dist makes a release: archives, lists of components, the probe's image and
// checksums, the same from every clone of a commit. Run it in the root of a checkout.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	out := flag.String("out", "dist", "folder of the release")
	number := flag.String("version", "", "release number (default: the tag of this commit, or what package version says)")
	only := flag.String("platforms", strings.Join(allPlatforms(), ","), "systems to build for")
	probe := flag.Bool("probe", false, "only the probe's image")
	install := flag.Bool("check-install", false, "instead: try `go install` of this commit from a module proxy in a folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *install:
		err = checkInstall(ctx)
	case *probe:
		err = makeProbe(ctx, *out, *number)
	default:
		err = makeRelease(ctx, *out, *number, strings.Split(*only, ","))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}
