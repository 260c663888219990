// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestParseNeighbours(t *testing.T) {
	t.Parallel()
	const table = "IP address       HW type     Flags       HW address            Mask     Device\n" +
		"10.90.1.2        0x1         0x2         02:42:0a:5a:01:02     *        br-1\n" +
		"10.90.1.3        0x1         0x0         00:00:00:00:00:00     *        br-1\n" +
		"10.90.1.4        0x1         0x6         02:42:0a:5a:01:04     *        br-1\n" +
		"10.90.1.5        0x1         0x2         02:42:0a:5a:01:05     *        eth0\nnonsense\n"
	want := []netip.Addr{netip.MustParseAddr("10.90.1.2"), netip.MustParseAddr("10.90.1.4")}
	if got := parseNeighbours(table, "br-1"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestARP(t *testing.T) {
	t.Parallel()
	hardware := net.HardwareAddr{2, 0x42, 0, 0, 0, 1}
	request := arpRequest(hardware, netip.MustParseAddr("10.90.1.1"), netip.MustParseAddr("10.90.1.9"))
	if len(request) != arpLength {
		t.Fatalf("%d bytes", len(request))
	}
	if a, ok := arpAnswer(request); ok {
		t.Errorf("a question was taken for an answer of %s", a)
	}
	reply := arpRequest(hardware, netip.MustParseAddr("10.90.1.9"), netip.MustParseAddr("10.90.1.1"))
	reply[7] = 2
	if a, ok := arpAnswer(reply); !ok || a.String() != "10.90.1.9" {
		t.Errorf("%s, %v", a, ok)
	}
	if _, ok := arpAnswer(reply[:20]); ok {
		t.Error("half an answer")
	}
}
