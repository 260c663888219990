//go:build !linux

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"os"
)

// hostFacts has little to say: containers run in a machine of their own there.
func hostFacts() Facts {
	return Facts{Root: os.Geteuid() == 0, Remote: true}
}

func kernelRelease() string { return "" }

func freeDisk(string) (uint64, error) { return 0, errors.ErrUnsupported }
