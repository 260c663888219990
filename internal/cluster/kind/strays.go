// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/poll"
)

const (
	// strayTime is longer than anything of a killed container stays on a network: the kernel
	// keeps its interface for as long as it repeats the last words of its connections, 100 s.
	strayTime = 3 * time.Minute
	// kubeletPort is where every node listens.
	kubeletPort = 10250
)

// lately says whether a container was started so short ago that an earlier one, which had its
// address, may still be on the network. An engine that is killed lets go of the addresses of its
// containers when it starts again, but not of their interfaces, and what has the same address
// answers in place of the node: connections to it are refused.
func lately(c cluster.Container) bool {
	return c.Running() && !c.Started.IsZero() && time.Since(c.Started) < strayTime
}

// unreached says which node of a cluster, if it was started lately, is not reached by a
// container beside it though it listens, or nothing.
func (p *Provider) unreached(ctx context.Context, list []cluster.Container) string {
	if !slices.ContainsFunc(list, lately) {
		return ""
	}
	beside, err := p.beside(ctx)
	if err != nil {
		// Who can not be asked has seen nothing.
		return ""
	}
	for _, c := range list {
		addr, port := c.Networks[p.network], kubeletPort
		if publishes(c) {
			port = apiPort
		}
		other := slices.IndexFunc(beside, func(b cluster.Container) bool { return b.Name != c.Name })
		if other < 0 || !addr.IsValid() || !lately(c) {
			continue
		}
		if p.connects(ctx, beside[other].Name, addr.String(), port) == no && p.connects(ctx, c.Name, addr.String(), port) == yes {
			return fmt.Sprintf("%s does not reach %s at %s, where something else answers", beside[other].Name, c.Name, addr)
		}
	}
	return ""
}

// beside lists the running nodes of all our clusters on the network.
func (p *Provider) beside(ctx context.Context) ([]cluster.Container, error) {
	list, err := cluster.Containers(ctx, p.engine, "label="+clusterLabel, "network="+p.network)
	if err != nil {
		return nil, err
	}
	var ours []string
	if p.Shared {
		if ours, err = p.ownOf(ctx, list); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(list, func(c cluster.Container) bool {
		return !c.Running() || p.Shared && !slices.Contains(ours, c.Labels[clusterLabel])
	}), nil
}

// The answers of a node that was asked to connect; another one is none.
const yes, no = "yes", "no"

// connects asks a node whether it can connect to an address.
func (p *Provider) connects(ctx context.Context, node, addr string, port int) string {
	out, err := p.exec(ctx, node, "bash", "-c",
		fmt.Sprintf("timeout 5 bash -c '</dev/tcp/%s/%d' 2>/dev/null && echo %s || echo %s", addr, port, yes, no))
	if err != nil {
		return ""
	}
	return out
}

// announceScript has a node ask for its gateway anew. All on the network hear the question and
// learn from it where the node is, and only the gateway answers.
const announceScript = `set -- $(ip -4 route show default) && ip neigh flush to "$3" dev "$5" && echo > "/dev/udp/$3/9"`

// announce has nodes tell the network where they are.
func (p *Provider) announce(ctx context.Context, nodes ...string) {
	for _, node := range nodes {
		if _, err := p.exec(ctx, node, "bash", "-c", announceScript); err != nil {
			p.log("announcing " + node + ": " + err.Error())
		}
	}
}

// keepAnnouncing has the nodes do so by themselves for as long as anything may answer in their
// place: whoever looks for a node anew asks all on the network, and may hear the other last.
func (p *Provider) keepAnnouncing(ctx context.Context, list []cluster.Container) {
	const script = "for ((i = 0; i < %d; i++)); do " + announceScript + "; sleep 1; done"
	for _, c := range list {
		if _, err := p.engine.Run(ctx, "exec", "--detach", c.Name, "bash", "-c", fmt.Sprintf(script, int(strayTime.Seconds()))); err != nil {
			p.log("announcing " + c.Name + ": " + err.Error())
		}
	}
}

// settle waits until the nodes of a cluster that was just started are reached at their
// addresses, and helps.
func (p *Provider) settle(ctx context.Context, name string) error {
	err := poll.Until(ctx, poll.Options{What: "the nodes to be reached", Deadline: strayTime,
		Observe: func(state string) { p.observe(ctx, name, state) },
	}, func(ctx context.Context) (bool, string, error) {
		list, err := p.nodes(ctx, name)
		if err != nil {
			return false, "", err
		}
		reason := p.unreached(ctx, list)
		if reason != "" {
			for _, c := range list {
				p.announce(ctx, c.Name)
			}
		}
		return reason == "", reason, nil
	})
	return diag.Hint(err, "something on container network "+p.network+" has the address of a node: stop it, then run meshfed up again")
}
