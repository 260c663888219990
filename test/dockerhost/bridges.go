// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package dockerhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/run"
)

// get asks the engine; answer may be nil.
func (d *Daemon) get(ctx context.Context, path string, answer any) error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.socket())
		}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("dockerd answers %s", response.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// bridges lists the interfaces that the engine has made on this host.
func (d *Daemon) bridges(ctx context.Context) ([]string, error) {
	var networks []struct {
		ID     string `json:"Id"`
		Driver string
	}
	if err := d.get(ctx, "/networks", &networks); err != nil {
		return nil, err
	}
	var names []string
	for _, n := range networks {
		const length = 12
		if n.Driver == "bridge" && len(n.ID) > length {
			names = append(names, "br-"+n.ID[:length])
		}
	}
	return names, nil
}

// removeBridges removes interfaces that a stopped engine has left, and its firewall rules for
// them. It makes both again when it is started again.
func removeBridges(ctx context.Context, names []string) error {
	var errs []error
	for _, name := range names {
		if _, err := net.InterfaceByName(name); err != nil {
			continue
		}
		_, err := run.Command{Name: "ip", Args: []string{"link", "delete", name}}.Output(ctx)
		errs = append(errs, err)
	}
	iptables, err := find("iptables")
	if err != nil || len(names) == 0 {
		return errors.Join(errs...)
	}
	for _, table := range []string{"nat", "filter"} {
		rules, err := run.Command{Name: iptables, Args: []string{"--table", table, "--list-rules"}}.Output(ctx)
		errs = append(errs, err)
		for rule := range strings.Lines(rules) {
			words := strings.Fields(rule)
			if len(words) < 2 || words[0] != "-A" || !mentions(words, names) {
				continue
			}
			_, err := run.Command{Name: iptables, Args: append([]string{"--table", table, "--delete"}, words[1:]...)}.Output(ctx)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func mentions(words, names []string) bool {
	for _, w := range words {
		for _, n := range names {
			if w == n {
				return true
			}
		}
	}
	return false
}
