// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

const (
	// portAttempts is how often a cluster is made on other ports because a program of
	// someone else took one after it had been found free.
	portAttempts = 3
	// portRange is how many ports are tried from the one that is asked for.
	portRange = 1000
)

// Ports maps the node ports of a cluster to the ports of this host's loopback interface on
// which they are published now, without that of the API. It is empty while the cluster is
// stopped.
func (p *Provider) Ports(ctx context.Context, name string) (map[int]int, error) {
	list, err := p.nodes(ctx, name)
	if err != nil {
		return nil, diag.Op(err, name, "looking for its ports")
	}
	published := map[int]int{}
	for _, c := range list {
		for inside, outside := range c.Ports {
			if inside != apiPort {
				published[inside] = outside
			}
		}
	}
	return published, nil
}

// makeOnFreePorts makes a cluster where there is none, with free host ports where any will do.
func (p *Provider) makeOnFreePorts(ctx context.Context, s cluster.Spec) error {
	for attempt := 1; ; attempt++ {
		chosen, release, err := p.choosePorts(ctx, s)
		if err != nil {
			return err
		}
		err = p.makeAnew(ctx, chosen)
		release()
		if err == nil || attempt == portAttempts || !anyPort(s) || !portTaken(err) || ctx.Err() != nil {
			return err
		}
		p.observe(ctx, s.Name, "a port that was free is taken: once more with others")
		if err := p.remove(ctx, s.Name); err != nil {
			return err
		}
	}
}

func anyPort(s cluster.Spec) bool {
	return slices.ContainsFunc(s.Ports, func(port cluster.Port) bool { return port.Any })
}

// portTaken says whether the engine failed because someone listens on a port already.
func portTaken(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "address already in use") || strings.Contains(text, "port is already allocated")
}

// reasoned puts the line of what the engine said that tells why into an error whose last line
// only says that it failed: docker start ends with the names of what did not start.
func reasoned(err error) error {
	var failed *run.Error
	if !errors.As(err, &failed) {
		return err
	}
	for line := range strings.Lines(failed.Output) {
		line = strings.TrimSpace(line)
		if reason, ok := strings.CutPrefix(line, "Error response from daemon: "); ok && !strings.HasSuffix(strings.TrimSpace(failed.Output), line) {
			return fmt.Errorf("%w: %s", err, reason)
		}
	}
	return err
}

// choosePorts gives each port that may be any one of the host's a free one, and holds it for
// this process until release is called: clusters are made side by side, and an engine listens
// only after a while. The spec of the caller is left as it is.
func (p *Provider) choosePorts(ctx context.Context, s cluster.Spec) (chosen cluster.Spec, release func(), err error) {
	if !anyPort(s) {
		return s, func() {}, nil
	}
	// A cluster that is stopped does not listen, but will again.
	used := map[int]bool{}
	containers, err := cluster.Containers(ctx, p.engine, "label="+clusterLabel)
	if err != nil {
		return s, nil, err
	}
	if err := p.reserved(ctx, containers, used); err != nil {
		return s, nil, err
	}
	for _, port := range s.Ports {
		if !port.Any {
			used[port.Host] = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var held []int
	release = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, port := range held {
			delete(p.taken, port)
		}
	}
	s.Ports = slices.Clone(s.Ports)
	for i, port := range s.Ports {
		if !port.Any {
			continue
		}
		free := p.freePort(port.Host, used)
		if free == 0 {
			for _, port := range held {
				delete(p.taken, port)
			}
			return s, nil, diag.Hint(fmt.Errorf("none of the %d ports of this host from %d on is free", portRange, port.Host),
				"choose another port in the topology")
		}
		held, p.taken[free], s.Ports[i].Host = append(held, free), true, free
	}
	return s, release, nil
}

// reserved adds the host ports that containers have, or will have when they are started again:
// Docker names those of one that is stopped only among what it was made from.
func (p *Provider) reserved(ctx context.Context, containers []cluster.Container, used map[int]bool) error {
	var stopped []string
	for _, c := range containers {
		for _, outside := range c.Ports {
			used[outside] = true
		}
		if !c.Running() {
			stopped = append(stopped, c.ID)
		}
	}
	if len(stopped) == 0 {
		return nil
	}
	out, err := p.engine.Run(ctx, append([]string{"container", "inspect", "--format", "{{json .HostConfig.PortBindings}}"}, stopped...)...)
	if ctx.Err() != nil {
		return err
	}
	// One that has gone since it was listed fails the command; the others are named all the same.
	for line := range strings.Lines(out) {
		var bindings map[string][]struct{ HostPort string }
		if json.Unmarshal([]byte(line), &bindings) != nil {
			continue
		}
		for _, list := range bindings {
			for _, b := range list {
				if port, err := strconv.Atoi(b.HostPort); err == nil {
					used[port] = true
				}
			}
		}
	}
	return nil
}

// freePort is the first port from begin on that nobody listens on; 0 when there is none.
func (p *Provider) freePort(begin int, used map[int]bool) int {
	for port := max(begin, 1); port < begin+portRange && port <= 65535; port++ {
		if used[port] || p.taken[port] {
			continue
		}
		l, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil && l.Close() == nil {
			return port
		}
	}
	return 0
}
