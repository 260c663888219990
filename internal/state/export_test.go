// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state

import "os"

// NewRunOn is a run folder at path whose events go to another file.
func NewRunOn(path, events string) (*RunFolder, error) {
	f, err := os.OpenFile(events, os.O_WRONLY, 0)
	return &RunFolder{Path: path, events: f}, err
}
