// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfed/meshfed/internal/run"
)

// podmanChain begins the names of the chains in which podman's network program leads
// published ports to containers, one chain for each network
// (https://github.com/containers/netavark).
const podmanChain = "NETAVARK-DN-"

// DropStaleRedirects removes redirects of published ports that lead to no container any more.
// A container whose processes were killed together with podman's, as when a session or a host
// ends, leaves them behind; being older they win over those of a new container on the same
// port, which then can not be reached although it is published. Docker takes its own away.
//
// Only rules of podman's, for the given ports, whose address no container has, are removed. The address
// of a container that podman believes to run and that has no process any more counts as nobody's. It is
// idempotent and does nothing where podman keeps its rules elsewhere.
func DropStaleRedirects(ctx context.Context, e Engine, ports []int) error {
	// Not by its name: the rules of this host are nobody else's business, a fake's least of all.
	if _, ok := e.(Podman); !ok {
		return nil
	}
	list, err := lookPath("iptables-save")
	if err != nil {
		return nil
	}
	change, err := lookPath("iptables")
	if err != nil {
		return nil
	}
	rules, err := run.Command{Name: list, Args: []string{"-t", "nat"}}.Output(ctx)
	if err != nil {
		return fmt.Errorf("looking for redirects of published ports: %w", err)
	}
	if !strings.Contains(rules, podmanChain) {
		return nil
	}
	// All containers, after the rules: one that is made meanwhile has no rule in the list.
	containers, err := Containers(ctx, e)
	if err != nil {
		return err
	}
	for _, rule := range staleRedirects(rules, ports, containers) {
		args := append([]string{"--wait", "10", "-t", "nat", "-D"}, rule...)
		_, failed := run.Command{Name: change, Args: args}.Output(ctx)
		if failed == nil {
			continue
		}
		// The owner of a container that was just removed, or another run of this program, may
		// have taken it away since it was listed: then what was wanted is so.
		rules, err := run.Command{Name: list, Args: []string{"-t", "nat"}}.Output(ctx)
		if err != nil || hasRule(rules, rule) {
			return fmt.Errorf("removing a redirect that leads nowhere: %w", failed)
		}
	}
	return nil
}

// hasRule tells whether a rule, given without its -A, is in what iptables-save printed.
func hasRule(rules string, rule []string) bool {
	for line := range strings.Lines(rules) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "-A" && slices.Equal(words[1:], rule) {
			return true
		}
	}
	return false
}

// staleRedirects picks the rules, without their -A, that lead one of the ports to an address
// that no container has.
func staleRedirects(rules string, ports []int, containers []Container) [][]string {
	used := map[netip.Addr]bool{}
	for _, c := range containers {
		if c.ended() {
			continue
		}
		for _, addr := range c.Networks {
			used[addr] = true
		}
	}
	var stale [][]string
	for line := range strings.Lines(rules) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "-A" || !strings.HasPrefix(words[1], podmanChain) || !slices.Contains(words, "DNAT") {
			continue
		}
		port, err := strconv.Atoi(after(words, "--dport"))
		if err != nil || !slices.Contains(ports, port) {
			continue
		}
		to, err := netip.ParseAddrPort(after(words, "--to-destination"))
		if err != nil || used[to.Addr()] {
			continue
		}
		stale = append(stale, words[1:])
	}
	return stale
}

// after is the word that follows another one; empty when there is none.
func after(words []string, flag string) string {
	if i := slices.Index(words, flag); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
