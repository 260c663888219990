// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
)

const (
	// etherARP is ETH_P_ARP, from linux/if_ether.h.
	etherARP = 0x0806
	// arpLength is the length of an ARP message for IPv4 on Ethernet.
	arpLength = 28
	// rounds is how often each address is asked for: a load balancer answers as a process,
	// which may have to wait its turn.
	rounds = 3
)

// probe lists which of the addresses somebody on the link answers for. from is this host's
// address there.
func probe(ctx context.Context, link *net.Interface, from netip.Addr, ask []netip.Addr) ([]netip.Addr, error) {
	if len(link.HardwareAddr) != 6 || !from.Is4() {
		return nil, errors.ErrUnsupported
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, bigEndian(etherARP))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return neighbours(ctx, link, ask)
	}
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), "arp")
	defer socket.Close()
	to := syscall.SockaddrLinklayer{Protocol: uint16(bigEndian(etherARP)), Ifindex: link.Index, Halen: 6,
		Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	if err := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: to.Protocol, Ifindex: link.Index}); err != nil {
		return nil, err
	}
	var answered []netip.Addr
	for range rounds {
		for _, a := range ask {
			if slices.Contains(answered, a) {
				continue
			}
			// A link that is down has nobody behind it.
			if err := syscall.Sendto(fd, arpRequest(link.HardwareAddr, from, a), 0, &to); errors.Is(err, syscall.ENETDOWN) {
				return nil, nil
			} else if err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.ENOBUFS) {
				return nil, err
			}
		}
		if err := socket.SetReadDeadline(time.Now().Add(probeTime / rounds)); err != nil {
			return nil, err
		}
		for len(answered) < len(ask) {
			message := make([]byte, 64)
			n, err := socket.Read(message)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			if a, ok := arpAnswer(message[:n]); ok && slices.Contains(ask, a) && !slices.Contains(answered, a) {
				answered = append(answered, a)
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return answered, nil
}

// bigEndian is a 16-bit number in the order of the network.
func bigEndian(n uint16) int {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return int(binary.NativeEndian.Uint16(b[:]))
}

// arpRequest asks who has an address.
func arpRequest(hardware net.HardwareAddr, from, wanted netip.Addr) []byte {
	// Ethernet, IPv4, the lengths of their addresses, request.
	m := append(make([]byte, 0, arpLength), 0, 1, 8, 0, 6, 4, 0, 1)
	m = append(append(m, hardware...), from.AsSlice()...)
	m = append(m, 0, 0, 0, 0, 0, 0)
	return append(m, wanted.AsSlice()...)
}

// arpAnswer is the address that a reply is about.
func arpAnswer(m []byte) (netip.Addr, bool) {
	if len(m) < arpLength || m[4] != 6 || m[5] != 4 || m[6] != 0 || m[7] != 2 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(m[14:18])), true
}

// neighbours does the same without the right to speak ARP: it sends a datagram to each address,
// for which the kernel asks, and reads what the kernel has learnt. It may also find an address
// whose owner has just gone.
func neighbours(ctx context.Context, link *net.Interface, ask []netip.Addr) ([]netip.Addr, error) {
	const discard = 9
	for _, a := range ask {
		conn, err := new(net.Dialer).DialContext(ctx, "udp4", netip.AddrPortFrom(a, discard).String())
		if err != nil {
			return nil, err
		}
		// Nobody needs to listen there.
		_, _ = conn.Write([]byte{0})
		if err := conn.Close(); err != nil {
			return nil, err
		}
	}
	var answered []netip.Addr
	err := poll.Until(ctx, poll.Options{What: "neighbours to answer", Interval: 200 * time.Millisecond, Deadline: probeTime},
		func(context.Context) (bool, string, error) {
			table, err := os.ReadFile("/proc/net/arp")
			if err != nil {
				return false, "", poll.Stop(err)
			}
			answered = slices.DeleteFunc(parseNeighbours(string(table), link.Name), func(a netip.Addr) bool { return !slices.Contains(ask, a) })
			return len(answered) == len(ask), "not all do", nil
		})
	if errors.Is(err, poll.ErrDeadline) {
		err = nil
	}
	return answered, err
}

// parseNeighbours lists the addresses in /proc/net/arp that somebody on the link has answered for.
func parseNeighbours(table, link string) []netip.Addr {
	var known []netip.Addr
	for line := range strings.Lines(table) {
		const address, flags, hardware, device = 0, 2, 3, 5
		f := strings.Fields(line)
		if len(f) <= device || f[device] != link || f[flags] == "0x0" || f[hardware] == "00:00:00:00:00:00" {
			continue
		}
		if a, err := netip.ParseAddr(f[address]); err == nil {
			known = append(known, a)
		}
	}
	return known
}
