// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Environment of the container, filled by the downward API.
const (
	EnvPod = "POD_NAME"
	EnvUID = "POD_UID"
)

// Main runs a sub-command: "serve" until ctx ends, and then returns nil within a fraction of a
// second, for nothing that it serves is worth waiting for; "prober" asks the probers of other
// clusters and exports what came of it (see RunProber), in the same way.
func Main(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	flags := flag.NewFlagSet("meshfed-probe", flag.ContinueOnError)
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		return err
	}
	role := flags.Arg(0)
	if role != "prober" && (flags.NArg() != 1 || role != "serve") {
		return errors.New("usage: meshfed-probe serve | prober [flags] PEER [PEER...]")
	}
	self := Answer{Pod: getenv(EnvPod), UID: getenv(EnvUID)}
	if self.Pod == "" {
		return fmt.Errorf("%s is not set: it must hold the pod's name", EnvPod)
	}
	if role == "prober" {
		return prober(ctx, flags.Args()[1:], self, stderr)
	}
	return Serve(ctx, self, net.JoinHostPort("127.0.0.1", strconv.Itoa(PortAdmin)),
		":"+strconv.Itoa(PortApp), ":"+strconv.Itoa(PortAppSecond))
}

// Serve listens on all addresses and blocks until ctx ends or a server fails. The admin
// address must be on loopback: whoever reaches it can send load.
func Serve(ctx context.Context, self Answer, adminAddr string, appAddrs ...string) error {
	if host, _, err := net.SplitHostPort(adminAddr); err != nil || !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("admin address %q is not on loopback", adminAddr)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	application := newApp(self)
	handlers := map[string]http.Handler{adminAddr: newAdmin(ctx, application)}
	for _, addr := range appAddrs {
		handlers[addr] = application
	}
	failed := make(chan error, len(handlers))
	for addr, handler := range handlers {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", addr, err)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
		defer server.Close()
		go func() { failed <- server.Serve(listener) }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	}
}
