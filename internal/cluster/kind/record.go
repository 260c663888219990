// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/run"
)

// recordPath is where the record lies in the control-plane node: on the container's own file
// system, so it lives exactly as long as the container.
const recordPath = "/kind/meshfed.json"

// record says that a cluster is whole, whose it is, what it was made from and where its nodes
// were when it was made or last started by us.
type record struct {
	Labels map[string]string     `json:"labels"`
	Spec   cluster.Spec          `json:"spec"`
	Nodes  map[string]nodeRecord `json:"nodes,omitempty"`
}

// nodeRecord is what is recorded of a node, by its name.
type nodeRecord struct {
	Address netip.Addr `json:"address,omitzero"`
	// Pods is the subnet of its pods, where the routes between the nodes are ours.
	Pods netip.Prefix `json:"pods,omitzero"`
}

// writeRecord is the last thing that making or starting a cluster does.
func (p *Provider) writeRecord(ctx context.Context, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	node := controlPlanes(r.Spec)[0]
	err = p.feed(ctx, node, string(data), "cat > "+recordPath+".new && mv "+recordPath+".new "+recordPath)
	if err != nil {
		return fmt.Errorf("recording in %s that the cluster is whole: %w", node, err)
	}
	return nil
}

// readRecord reads the record of a control-plane node, running or not; false when it has none.
// An engine in trouble is an error: a whole cluster must not be taken for a half-made one.
func (p *Provider) readRecord(ctx context.Context, c cluster.Container) (record, bool, error) {
	if c.Running() {
		if out, err := p.exec(ctx, c.Name, "sh", "-c", "cat "+recordPath+" || true"); err == nil {
			r, ok := parseRecord(out)
			return r, ok, nil
		}
		// The engine may not have seen that its processes have ended.
	}
	var archive bytes.Buffer
	if err := p.engine.Pipe(ctx, nil, &archive, "cp", c.Name+":"+recordPath, "-"); err != nil {
		if noSuchFile(err) {
			return record{}, false, nil
		}
		return record{}, false, fmt.Errorf("reading what is recorded in container %s: %w", c.Name, err)
	}
	file := tar.NewReader(&archive)
	if _, err := file.Next(); err != nil {
		return record{}, false, fmt.Errorf("reading what is recorded in container %s: %w", c.Name, err)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return record{}, false, fmt.Errorf("reading what is recorded in container %s: %w", c.Name, err)
	}
	r, ok := parseRecord(string(data))
	return r, ok, nil
}

// parseRecord reads the record that text begins with.
func parseRecord(text string) (record, bool) {
	var r record
	err := json.NewDecoder(strings.NewReader(text)).Decode(&r)
	return r, err == nil
}

// noSuchFile says whether the engine failed because a file is not in a container.
func noSuchFile(err error) bool {
	var failed *run.Error
	if !errors.As(err, &failed) {
		return false
	}
	text := strings.ToLower(failed.Output)
	return strings.Contains(text, "no such file") || strings.Contains(text, "could not find the file") || strings.Contains(text, "could not be found")
}

// moved says which nodes have another address than the recorded one.
func moved(r record, list []cluster.Container, network string) []string {
	var notes []string
	for _, c := range list {
		now, before := c.Networks[network], r.Nodes[c.Name].Address
		if now.IsValid() && before.IsValid() && now != before {
			notes = append(notes, fmt.Sprintf("node %s has %s, had %s", c.Name, now, before))
		}
	}
	return notes
}

// compare lists what can not be changed in a cluster that exists. Patches are left out: what
// they do can be changed in other ways, and often was. So are registries, which are written
// whenever a cluster is made or started, and the image: a cluster keeps what it was made from
// when a newer bundle is at hand.
func compare(made, want cluster.Spec) []cluster.Difference {
	var d []cluster.Difference
	add := func(path, old, next string) {
		if old != next {
			d = append(d, cluster.Difference{Path: path, Old: old, New: next})
		}
	}
	add("podSubnet", made.PodSubnet, want.PodSubnet)
	add("serviceSubnet", made.ServiceSubnet, want.ServiceSubnet)
	add("ports", ports(made.Ports), ports(asMade(made.Ports, want.Ports)))
	add("nodes", fmt.Sprint(len(nodes(made))), fmt.Sprint(len(nodes(want))))
	if len(made.Nodes) == len(want.Nodes) {
		for i := range made.Nodes {
			add(fmt.Sprintf("nodes[%d].role", i), made.Nodes[i].Role, want.Nodes[i].Role)
			add(fmt.Sprintf("nodes[%d].labels", i), labels(made.Nodes[i]), labels(want.Nodes[i]))
		}
	}
	return d
}

// asMade gives the ports that may be any one of the host's those that were chosen.
func asMade(made, want []cluster.Port) []cluster.Port {
	want = slices.Clone(want)
	for i, w := range want {
		at := slices.IndexFunc(made, func(m cluster.Port) bool { return m.Node == w.Node })
		if w.Any && at >= 0 {
			want[i].Host = made[at].Host
		}
	}
	return want
}

func ports(list []cluster.Port) string {
	var texts []string
	for _, p := range list {
		texts = append(texts, fmt.Sprintf("%d:%d", p.Host, p.Node))
	}
	slices.Sort(texts)
	return "[" + strings.Join(texts, " ") + "]"
}

func labels(n cluster.Node) string {
	var list []string
	for key, value := range n.Labels {
		list = append(list, key+"="+value)
	}
	slices.Sort(list)
	return "[" + strings.Join(list, " ") + "]"
}
