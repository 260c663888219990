// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"

	"github.com/spf13/cobra"
)

// Tree is every command with its flags, for those who write manual pages or hold documents
// against them. It runs nothing.
func Tree() *cobra.Command {
	return (&app{Streams: Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}}).root()
}
