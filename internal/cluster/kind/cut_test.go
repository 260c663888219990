// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/topology"
)

// TestCut: every node that runs drops what comes from every node of the other cluster and from
// its load balancer, for a time that its kernel counts.
func TestCut(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", flatHost(nil)...)
	balancer, err := topology.ParseAddressRange("10.90.0.224-10.90.0.239")
	if err != nil {
		t.Fatal(err)
	}
	within, err := topology.ParseAddressRange("10.90.0.225-10.90.0.225") // nft refuses elements that overlap
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Cut(t.Context(), "lab-west", []string{"lab-east"}, []topology.AddressRange{within, balancer, balancer}, 51500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"lab-west-control-plane", "lab-west-worker"} {
		if calls := e.Calls("exec --interactive " + node + " sh -c nft -f -"); len(calls) != 1 {
			t.Errorf("%s: %q", node, calls)
		}
	}
	if calls := e.Calls("exec --interactive lab-east"); len(calls) > 0 {
		t.Errorf("the other cluster is touched: %q", calls)
	}
	script := e.Stdin()[0]
	for _, words := range []string{
		"delete table inet meshfed_fault\ntable inet meshfed_fault {", "hook prerouting priority -300", "ip saddr @sources counter drop", "ether saddr @senders counter drop",
		"elements = { 10.90.0.224-10.90.0.239 timeout 52s, 10.90.0.4 timeout 52s, 10.90.0.5 timeout 52s }",
		"elements = { 02:42:0a:5a:00:04 timeout 52s, 02:42:0a:5a:00:05 timeout 52s }",
	} {
		if !strings.Contains(script, words) {
			t.Errorf("%q is missing in\n%s", words, script)
		}
	}
	if err := p.Mend(t.Context(), "lab-west"); err != nil {
		t.Fatal(err)
	}
	if calls := e.Calls("exec --interactive lab-west-worker sh -c nft -f -"); len(calls) != 2 {
		t.Errorf("mending: %q", calls)
	}
}
