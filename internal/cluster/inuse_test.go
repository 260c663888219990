// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/topology"
)

func span(text string) topology.AddressRange {
	r, err := topology.ParseAddressRange(text)
	if err != nil {
		return topology.AddressRange{}
	}
	return r
}

// elsewhere is a network that no interface of this host is on.
var elsewhere = Network{Name: "meshfed-lab", Subnet: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr("198.51.100.1")}

func engineWithContainers(t *testing.T) *clustertest.Engine {
	t.Helper()
	const list = `[{"Name": "/a", "NetworkSettings": {"Networks": {"meshfed-lab": {"IPAddress": "198.51.100.9"}, "x": {"IPAddress": "198.51.100.11"}}}},
		{"Name": "/b", "NetworkSettings": {"Networks": {"meshfed-lab": {"IPAddress": "198.51.100.250"}}}},
		{"Name": "/dead", "NetworkSettings": {"Networks": {"meshfed-lab": {"IPAddress": ""}}}}]`
	return &clustertest.Engine{Engine: docker, Answers: []clustertest.Answer{{To: "ps", Out: "a b dead"}, {To: "container inspect", Out: list}}}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"198.51.100.0/24":             "198.51.100.1 198.51.100.9 198.51.100.250 ",
		"198.51.100.9-198.51.100.9":   "198.51.100.9 ",
		"198.51.100.10-198.51.100.20": "",
	} {
		got, err := InUse(t.Context(), engineWithContainers(t), elsewhere, span(text))
		said := ""
		for _, a := range got {
			said += a.String() + " "
		}
		if err != nil || said != want {
			t.Errorf("%s: %q instead of %q, %v", text, said, want, err)
		}
	}
	e := &clustertest.Engine{Answers: []clustertest.Answer{{To: "ps", Fails: "cannot connect"}}}
	if _, err := InUse(t.Context(), e, elsewhere, span("198.51.100.0/24")); err == nil {
		t.Error("an engine that does not answer is not an empty network")
	}
}

func TestFreeRange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		size  int
		avoid []topology.AddressRange
		want  string
	}{
		"beside a container":       {size: 16, want: "198.51.100.234-198.51.100.249"},
		"at the end":               {size: 4, want: "198.51.100.251-198.51.100.254"},
		"clear of another range":   {size: 16, avoid: []topology.AddressRange{span("198.51.100.240-198.51.100.254")}, want: "198.51.100.224-198.51.100.239"},
		"down to the first ones":   {size: 7, avoid: []topology.AddressRange{span("198.51.100.10-198.51.100.255")}, want: "198.51.100.2-198.51.100.8"},
		"too many":                 {size: 300},
		"nowhere":                  {size: 16, avoid: []topology.AddressRange{span("198.51.100.0/24")}},
		"more than between others": {size: 8, avoid: []topology.AddressRange{span("198.51.100.10-198.51.100.255")}},
	} {
		got, err := FreeRange(t.Context(), engineWithContainers(t), elsewhere, test.size, test.avoid)
		if test.want == "" {
			refused(t, err, "were found that are free on container network meshfed-lab", "choose a range yourself")
		} else if err != nil || got.String() != test.want {
			t.Errorf("%s: %s instead of %s, %v", name, got, test.want, err)
		}
	}
}

func TestCandidatesEnd(t *testing.T) {
	t.Parallel()
	for _, subnet := range []string{"0.0.0.0/32", "0.0.0.0/30", "255.255.255.0/24", "10.0.0.0/31"} {
		n := Network{Name: "x", Subnet: netip.MustParsePrefix(subnet)}
		var got []string
		for r := range candidates(n, 2, nil, nil) {
			got = append(got, r.String())
		}
		if len(got) > suggestions || (subnet == "0.0.0.0/30") != (len(got) == 1) && subnet != "255.255.255.0/24" {
			t.Errorf("%s: %v", subnet, got)
		}
	}
}

func TestRunOnce(t *testing.T) {
	t.Parallel()
	s := RunSpec{Name: "x", Network: "n", Image: "i:1", Labels: map[string]string{"b": "2", "a": "1"}, Args: []string{"get", "http://x"}}
	const command = "run --rm --pull never --name x --network n --label a=1 --label b=2 i:1 get http://x"
	conflict := clustertest.Answer{To: "run", Fails: `docker: Error response from daemon: Conflict. The container name "/x" is already in use by container "1".`}
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		removed int
		want    string
	}{
		"good":           {answers: []clustertest.Answer{{To: command, Out: "{}"}}},
		"fails":          {answers: []clustertest.Answer{{To: "run", Fails: "connection refused"}}, want: "connection refused"},
		"our leftover":   {answers: []clustertest.Answer{{To: "run", Fails: conflict.Fails, Once: true}, {To: "container inspect x", Out: `[{"Name": "/x", "Config": {"Labels": {"a": "1", "b": "2", "c": "3"}}}]`}, {To: command, Out: "{}"}}, removed: 1},
		"gone meanwhile": {answers: []clustertest.Answer{{To: "run", Fails: conflict.Fails, Once: true}, {To: "container inspect x", Fails: "Error: No such container: x"}, {To: command, Out: "{}"}}},
		"someone else's": {answers: []clustertest.Answer{conflict, {To: "container inspect x", Out: `[{"Name": "/x", "Config": {"Labels": {"a": "1"}}}]`}}, want: "already in use"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &clustertest.Engine{Engine: docker, Answers: test.answers}
			out, err := RunOnce(t.Context(), e, s)
			if test.want != "" {
				refused(t, err, test.want, "")
			} else if err != nil || out != "{}" {
				t.Errorf("%q, %v", out, err)
			}
			if diff := cmp.Diff(test.removed, len(e.Calls("rm"))); diff != "" {
				t.Errorf("removed: %s", diff)
			}
		})
	}
	e, bare := &clustertest.Engine{}, s
	bare.Labels = nil
	if _, err := RunOnce(t.Context(), e, bare); err == nil || len(e.Calls("")) > 0 {
		t.Errorf("without labels: %v, %q", err, e.Calls(""))
	}
}
