// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/meshfed/meshfed/internal/cluster/kind"
)

// kindVerb is the hidden first argument of the child process in which kind runs.
const kindVerb = "__kind"

// kindChild is the whole of that child process: kind's library takes no context, so it runs
// where it can be killed.
func kindChild(ctx context.Context, args []string, s Streams) error {
	return kind.ChildMain(ctx, args, s.In, s.Out, s.Err)
}
