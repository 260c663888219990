// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

// CheckDisk refuses a host with fewer free bytes at the engine's storage root than need.
// What is not known is not refused.
func CheckDisk(f Facts, need uint64) error {
	if f.DiskUnknown || f.FreeDisk >= need {
		return nil
	}
	return diag.Hint(fmt.Errorf("%s has %s free at %s; about %s are needed", f.Engine, gib(f.FreeDisk), f.StorageRoot, gib(need)),
		fmt.Sprintf("make room there: %s system df shows what is kept, %s image prune removes unused images", f.Engine, f.Engine))
}

func gib(bytes uint64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

// PortsFree tries to listen on each port of the host's loopback interface and names every one
// that is in use. Ports of clusters that already run are in use too: ask only for new ones.
func PortsFree(ports []int) error {
	return loopback{
		os:     runtime.GOOS,
		listen: func(address string) (net.Listener, error) { return net.Listen("tcp4", address) },
		dial:   func(address string) (net.Conn, error) { return net.DialTimeout("tcp4", address, time.Second) },
	}.free(ports)
}

// loopback is what can be done with the ports of a host; its fields differ in tests.
type loopback struct {
	os     string
	listen func(address string) (net.Listener, error)
	dial   func(address string) (net.Conn, error)
}

func (b loopback) free(ports []int) error {
	who := "ss -ltnp 'sport = :%d'"
	if b.os != "linux" {
		who = "lsof -nP -iTCP:%d -sTCP:LISTEN"
	}
	var errs []error
	for _, port := range ports {
		used, err := b.used(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("trying port %d of this host: %w", port, err))
		case used:
			errs = append(errs, diag.Hint(fmt.Errorf("port %d of this host is in use", port),
				fmt.Sprintf(who+" shows by whom; choose another port in the topology or stop it", port)))
		}
	}
	return errors.Join(errs...)
}

func (b loopback) used(address string) (bool, error) {
	l, err := b.listen(address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return true, nil
	}
	if err == nil {
		err = l.Close()
	}
	if err != nil || b.os == "linux" {
		return false, err
	}
	// Where the kernel is one of the BSD family, as on macOS, one address can be listened on
	// although somebody listens on all.
	c, err := b.dial(address)
	if err != nil {
		return false, nil
	}
	return true, c.Close()
}
