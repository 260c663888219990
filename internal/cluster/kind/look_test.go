// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"slices"
	"testing"

	"github.com/meshfed/meshfed/internal/cluster"
)

// TestNodesAreToldOfANewMirror: one that was added to the file, or has moved, is a note, by
// which the cluster is brought up to date; one that they know is none.
func TestNodesAreToldOfANewMirror(t *testing.T) {
	t.Parallel()
	at := func(server string) []cluster.Registry {
		return []cluster.Registry{{Host: "127.0.0.1:5000", Server: server}}
	}
	const here, there = "http://10.90.0.1:5000", "http://10.90.1.1:5000"
	note := []string{"the nodes do not know yet that 127.0.0.1:5000 is at " + here}
	for name, test := range map[string]struct {
		told, want []cluster.Registry
		notes      []string
	}{
		"none":  {},
		"known": {told: at(here), want: at(here)},
		"new":   {want: at(here), notes: note},
		"moved": {told: at(there), want: at(here), notes: note},
		"gone":  {told: at(here)},
	} {
		if got := unknown(test.told, test.want); !slices.Equal(got, test.notes) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
