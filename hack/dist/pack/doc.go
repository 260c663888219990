// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package pack owns archives and checksums that are the same whoever makes them: entries in
// order, one time, no owners, no names of machines. It refuses to know what is in them.
package pack
