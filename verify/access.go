// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

// Access is what a run may look at, and how. The zero value is Probing.
type Access int

const (
	// Probing starts probes, sends requests through them, and reads Secrets.
	Probing Access = iota
	// Reading changes nothing and starts no probe; it reads Secrets as far as it may.
	Reading
	// Passive is Reading without Secrets: it does only what PassiveRole allows.
	Passive
)

func (a Access) probes() bool { return a == Probing }

func (a Access) secrets() bool { return a != Passive }
