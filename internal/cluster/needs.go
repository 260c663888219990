// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

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
	var errs []error
	for _, port := range ports {
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		switch {
		case err == nil:
			errs = append(errs, l.Close())
		case errors.Is(err, syscall.EADDRINUSE):
			errs = append(errs, diag.Hint(fmt.Errorf("port %d of this host is in use", port),
				fmt.Sprintf("ss -ltnp 'sport = :%d' shows by whom; choose another port in the topology or stop it", port)))
		default:
			errs = append(errs, fmt.Errorf("trying port %d of this host: %w", port, err))
		}
	}
	return errors.Join(errs...)
}
