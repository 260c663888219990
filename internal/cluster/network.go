// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// Network is a container network as the engine has it.
type Network struct {
	// Name of the network.
	Name string
	// Subnet is its first IPv4 subnet; invalid when it has none.
	Subnet netip.Prefix
	// First and Last bound the addresses that the engine gives to containers; invalid when
	// it may give any.
	First, Last netip.Addr
	// Gateway is the address of the engine's host on it; invalid when it has none.
	Gateway netip.Addr
	// DNS says that containers on it resolve each other's names through the engine.
	DNS bool
	// Labels of the network.
	Labels map[string]string
}

// OwnedBy says whether the network carries both of our labels with the values given.
func (n Network) OwnedBy(labels map[string]string) bool {
	return sameOwner(n.Labels, labels)
}

func sameOwner(have, want map[string]string) bool {
	return have[topology.LabelTopology] != "" && have[topology.LabelTopology] == want[topology.LabelTopology] &&
		have[topology.LabelOwner] != "" && have[topology.LabelOwner] == want[topology.LabelOwner]
}

// NetworkSpec is a network that shall exist.
type NetworkSpec struct {
	// Name of the network: Topology.NetworkName.
	Name string
	// Labels must hold topology.LabelTopology and topology.LabelOwner.
	Labels map[string]string
	// Range carves what containers may get out of the subnet that was chosen:
	// Topology.NodeRange. Nil gives them all.
	Range func(subnet netip.Prefix) netip.Prefix
	// Avoid are prefixes that the subnet must not touch: pod and service subnets.
	Avoid []netip.Prefix
}

// ErrForeign means that something of our name exists that is not ours; it is left alone.
var ErrForeign = errors.New("not made by this topology")

// ErrNoNetwork means that the network does not exist.
var ErrNoNetwork = errors.New("no such container network")

// InspectNetwork reads a network; without it the error is an ErrNoNetwork.
func InspectNetwork(ctx context.Context, e Engine, name string) (Network, error) {
	out, err := e.Run(ctx, "network", "inspect", name)
	if absent(err) {
		return Network{}, fmt.Errorf("container network %s: %w", name, ErrNoNetwork)
	}
	if err != nil {
		return Network{}, fmt.Errorf("looking at container network %s: %w", name, err)
	}
	list, err := parseNetworks([]byte(out))
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d networks instead of 1", len(list))
	}
	if err != nil {
		return Network{}, fmt.Errorf("reading container network %s: %w", name, err)
	}
	n := list[0].Network
	n.DNS = n.DNS && servesNames(e)
	return n, nil
}

// JoinNetwork returns a network of someone else's that clusters only join: it is never made and
// never removed. One that does not exist is an ErrNoNetwork; that of kind is then made by kind.
func JoinNetwork(ctx context.Context, e Engine, name string) (Network, error) {
	n, err := InspectNetwork(ctx, e, name)
	if err == nil && !n.Subnet.IsValid() {
		err = diag.Hint(fmt.Errorf("container network %s has no IPv4 subnet that clusters could join", name),
			"choose another spec.containerNetwork, or none: the topology then gets its own")
	}
	return n, err
}

// EnsureNetwork makes the network when it is missing, on the first /24 that is free on this
// host, and returns it. It is idempotent. A network of that name that is not ours is refused
// as ErrForeign.
func EnsureNetwork(ctx context.Context, e Engine, s NetworkSpec) (Network, error) {
	n, err := InspectNetwork(ctx, e, s.Name)
	switch {
	case err == nil:
		return n, owned(e, n, s.Labels)
	case !errors.Is(err, ErrNoNetwork):
		return Network{}, err
	}
	used, err := usedPrefixes(ctx, e)
	if err != nil {
		return Network{}, err
	}
	used = append(used, s.Avoid...)
	packet, err := packetSize(ctx, e)
	if err != nil {
		return Network{}, err
	}
	for subnet := range freeSubnets(used) {
		err = createNetwork(ctx, e, s, subnet, packet)
		if err == nil {
			return InspectNetwork(ctx, e, s.Name)
		}
		// Someone was faster, or the engine knows of a use that the host does not show.
		if !said(err, "already used", "being used", "overlap") {
			break
		}
	}
	if err == nil {
		err = diag.Hint(errors.New("every subnet that could be used overlaps something on this host"), fmt.Sprintf("ip route and %s network ls show what is in use", e.Name()))
	}
	return Network{}, fmt.Errorf("making container network %s: %w", s.Name, err)
}

func createNetwork(ctx context.Context, e Engine, s NetworkSpec, subnet netip.Prefix, packet string) error {
	args := []string{"network", "create", "--subnet", subnet.String()}
	if isDocker(e) {
		// Left to itself it does not tell which it has chosen.
		args = append(args, "--gateway", subnet.Addr().Next().String())
	}
	if packet != "" {
		args = append(args, "--opt", packetOption+"="+packet)
	}
	if s.Range != nil {
		args = append(args, "--ip-range", s.Range(subnet).String())
	}
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		args = append(args, "--label", key+"="+s.Labels[key])
	}
	_, err := e.Run(ctx, append(args, s.Name)...)
	return err
}

// packetOption is Docker's option for the largest packet of a network.
const packetOption = "com.docker.network.driver.mtu"

// packetSize is the largest packet of Docker's default network, which an administrator sets
// where the host's own network has a smaller one than usual; Docker does not give it to other
// networks by itself. Empty means the usual one.
func packetSize(ctx context.Context, e Engine) (string, error) {
	if !isDocker(e) {
		return "", nil
	}
	out, err := e.Run(ctx, "network", "inspect", "--format", `{{index .Options "`+packetOption+`"}}`, "bridge")
	if err != nil && !absent(err) {
		return "", fmt.Errorf("looking at Docker's default network: %w", err)
	}
	if size, nerr := strconv.Atoi(out); err != nil || nerr != nil || size <= 0 {
		return "", nil
	}
	return out, nil
}

// RemoveNetwork removes our network. Absent is success; one that is not ours, or that a
// container of someone else still uses, is refused by name and stays.
func RemoveNetwork(ctx context.Context, e Engine, name string, labels map[string]string) error {
	n, err := InspectNetwork(ctx, e, name)
	if errors.Is(err, ErrNoNetwork) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := owned(e, n, labels); err != nil {
		return err
	}
	attached, err := Containers(ctx, e, "network="+name)
	if err != nil {
		return err
	}
	if len(attached) > 0 {
		names := make([]string, len(attached))
		for i, c := range attached {
			names[i] = c.Name
		}
		return diag.Hint(fmt.Errorf("container network %s is still used by %s", name, strings.Join(names, ", ")),
			fmt.Sprintf("%s network disconnect %s %s", e.Name(), name, names[0]))
	}
	// Without --force: what was attached meanwhile must not be removed with it.
	if _, err := e.Run(ctx, "network", "rm", name); err != nil && !absent(err) {
		return fmt.Errorf("removing container network %s: %w", name, err)
	}
	return nil
}

// owned refuses a network that is not ours and says whose it is.
func owned(e Engine, n Network, labels map[string]string) error {
	if n.OwnedBy(labels) {
		return nil
	}
	whose := "it has no label " + topology.LabelTopology
	if t := n.Labels[topology.LabelTopology]; t != "" {
		whose = fmt.Sprintf("it belongs to topology %s, owner %s", t, n.Labels[topology.LabelOwner])
	}
	return diag.Hint(fmt.Errorf("container network %s exists and is %w: %s", n.Name, ErrForeign, whose),
		fmt.Sprintf("choose another metadata.name, or remove it yourself: %s network rm %s", e.Name(), n.Name))
}
