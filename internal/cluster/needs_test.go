// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net"
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
