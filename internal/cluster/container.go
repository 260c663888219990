// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Container is what matters of a container.
type Container struct {
	// ID is the full id and Name the name that was given.
	ID, Name string
	// Labels of the container.
	Labels map[string]string
	// Image is the name that the container was made from.
	Image string
	// State is the engine's word: created, running, exited, paused, dead and others of Docker;
	// created, running, stopping, stopped, exited and others of podman. A container whose
	// processes were killed together with podman's monitor stays "running".
	State string
	// PID is its first process as the engine's host numbers it; 0 while it does not run.
	PID int
	// Started is when it was last started; zero when it never was.
	Started time.Time
	// Networks maps the networks it is attached to, to the IPv4 address it has there now;
	// the address is invalid while the container does not run.
	Networks map[string]netip.Addr
	// Hardware maps those networks to the MAC address it has there, as far as the engine gives
	// one: running containers alone have it.
	Hardware map[string]net.HardwareAddr
	// Ports maps TCP ports of the container to ports of the host.
	Ports map[int]int
}

// Running says that the engine believes the container to run.
func (c Container) Running() bool { return c.State == "running" }

// ended says that it runs for podman alone: this host has no such process any more.
func (c Container) ended() bool {
	return c.Running() && c.PID > 0 && !missing("/proc/self") && missing("/proc/"+strconv.Itoa(c.PID))
}

// On says whether the container is attached to the network.
func (c Container) On(network string) bool {
	_, ok := c.Networks[network]
	return ok
}

// Containers lists the containers, running or not, that pass every filter ("label=key=value",
// "network=name"), by name.
func Containers(ctx context.Context, e Engine, filters ...string) ([]Container, error) {
	ids, err := listed(ctx, e, filters)
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := inspectContainers(ctx, e, ids)
	if absent(err) {
		// One has gone since it was listed: look at each on its own.
		list, err = inspectOneByOne(ctx, e, ids)
	}
	if err != nil {
		return nil, fmt.Errorf("looking at containers: %w", err)
	}
	slices.SortFunc(list, func(a, b Container) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func inspectOneByOne(ctx context.Context, e Engine, ids []string) ([]Container, error) {
	var all []Container
	for _, id := range ids {
		list, err := inspectContainers(ctx, e, []string{id})
		if err != nil && !absent(err) {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func inspectContainers(ctx context.Context, e Engine, ids []string) ([]Container, error) {
	out, err := e.Run(ctx, append([]string{"container", "inspect"}, ids...)...)
	if err != nil {
		return nil, err
	}
	return parseContainers([]byte(out))
}

// parseContainers reads what container inspect of either engine writes.
func parseContainers(data []byte) ([]Container, error) {
	var raw []struct {
		ID        string `json:"Id"`
		Name      string
		ImageName string
		State     struct {
			Status    string
			StartedAt time.Time
			Pid       int
		}
		Config struct {
			Labels map[string]string
			Image  string
		}

		NetworkSettings struct {
			Networks map[string]struct{ IPAddress, MacAddress string }
			Ports    map[string][]struct{ HostPort string }
		}
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("reading containers: %w", err)
	}
	list := make([]Container, len(raw))
	for i, r := range raw {
		list[i] = Container{ID: r.ID, Name: strings.TrimPrefix(r.Name, "/"), Labels: r.Config.Labels, Image: cmp.Or(r.ImageName, r.Config.Image),
			State: r.State.Status, PID: r.State.Pid, Started: r.State.StartedAt, Networks: map[string]netip.Addr{}, Hardware: map[string]net.HardwareAddr{}}
		for name, n := range r.NetworkSettings.Networks {
			// No address is what a container that does not run has.
			addr, _ := netip.ParseAddr(n.IPAddress)
			list[i].Networks[name] = addr
			if mac, err := net.ParseMAC(n.MacAddress); err == nil {
				list[i].Hardware[name] = mac
			}
		}
		list[i].Ports = map[int]int{}
		for name, bound := range r.NetworkSettings.Ports {
			inside, err := strconv.Atoi(strings.TrimSuffix(name, "/tcp"))
			if err != nil || len(bound) == 0 {
				continue
			}
			if outside, err := strconv.Atoi(bound[0].HostPort); err == nil {
				list[i].Ports[inside] = outside
			}
		}
	}
	return list, nil
}
