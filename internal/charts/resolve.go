// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"context"

	"github.com/meshfed/meshfed/topology"
)

// Resolve finds Istio's charts where a topology says they are, by name, so that whoever installs
// them asks no network: in its folder, else as held has them (a bundle), else from its
// repository. It is nil for a topology that names neither, whose charts are built in. It blocks
// for 30 s for each chart at most; held may be nil.
func (f Fetcher) Resolve(ctx context.Context, t *topology.Topology, held func(name, version string) (string, bool)) (map[string]string, error) {
	if t.Spec.Istio.Charts.Directory != "" {
		return Local(t)
	}
	var found map[string]string
	for _, ref := range Istio(t) {
		if found == nil {
			found = map[string]string{}
		}
		if held != nil {
			if path, ok := held(ref.Name, ref.Version); ok {
				found[ref.Name] = path
				continue
			}
		}
		path, err := f.Fetch(ctx, ref)
		if err != nil {
			// A repository that fails once fails for the others, after as long a wait.
			return nil, err
		}
		found[ref.Name] = path
	}
	return found, nil
}
