// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
)

func TestPortsFree(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	used := l.Addr().(*net.TCPAddr).Port
	refused(t, PortsFree([]int{used}), fmt.Sprintf("port %d of this host is in use", used), fmt.Sprintf("ss -ltnp 'sport = :%d'", used))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := PortsFree([]int{used}); err != nil {
		t.Errorf("free again: %v", err)
	}
	if err := PortsFree(nil); err != nil {
		t.Errorf("no port: %v", err)
	}
}

// TestPortsFreeOnBSD: there, one address can be bound although somebody listens on all.
func TestPortsFreeOnBSD(t *testing.T) {
	t.Parallel()
	refuses := errors.New("connection refused")
	bound := func(string) (net.Listener, error) { return net.Listen("tcp4", "127.0.0.1:0") }
	connects := func(string) (net.Conn, error) {
		here, there := net.Pipe()
		return here, there.Close()
	}
	for name, test := range map[string]struct {
		os     string
		listen func(string) (net.Listener, error)
		dial   func(string) (net.Conn, error)
		says   string
		hint   string
	}{
		"macOS, free":        {os: "darwin", listen: bound, dial: func(string) (net.Conn, error) { return nil, refuses }},
		"macOS, on all":      {"darwin", bound, connects, "port 8080 of this host is in use", "lsof -nP -iTCP:8080 -sTCP:LISTEN"},
		"macOS, on loopback": {"darwin", func(string) (net.Listener, error) { return nil, syscall.EADDRINUSE }, nil, "port 8080 of this host is in use", "lsof -nP"},
		"linux, free":        {os: "linux", listen: bound},
		"linux, forbidden":   {"linux", func(string) (net.Listener, error) { return nil, syscall.EACCES }, nil, "trying port 8080 of this host: permission denied", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := ""
			listen := func(address string) (net.Listener, error) { asked = address; return test.listen(address) }
			err := loopback{os: test.os, listen: listen, dial: test.dial}.free([]int{8080})
			if test.says == "" && err != nil {
				t.Error(err)
			}
			if test.says != "" {
				refused(t, err, test.says, test.hint)
			}
			if asked != "127.0.0.1:8080" {
				t.Errorf("asked for %s", asked)
			}
		})
	}
}

func TestCheckDisk(t *testing.T) {
	t.Parallel()
	f := ordinary()
	if err := CheckDisk(f, 15<<30); err != nil {
		t.Error(err)
	}
	f.FreeDisk, f.DiskUnknown = 0, true
	if err := CheckDisk(f, 15<<30); err != nil {
		t.Errorf("what is not known: %v", err)
	}
	f.FreeDisk, f.DiskUnknown = 3<<30, false
	refused(t, CheckDisk(f, 15<<30), "3.0 GiB free at /var/lib/containers/storage; about 15.0 GiB are needed", "podman system df")
}
