// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Command meshfed turns one topology file into a proven multi-cluster Istio mesh.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshfed/meshfed/cmd/meshfed/cli"
)

func main() {
	libraries := cli.CatchLibraries()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; a second one kills as usual.
	context.AfterFunc(ctx, stop)
	code := cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Program: os.Args[0], Libraries: libraries})
	stop()
	os.Exit(code)
}
