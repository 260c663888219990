// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package run starts other programs: in a process group of their own, which ends with the
// context, and with errors that can be shown to anyone.
//
// It owns process groups and redaction: what a token or a private key looks like and how
// it is blotted out. It refuses shells and secrets in arguments; a secret goes by stdin.
package run
