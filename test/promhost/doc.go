// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package promhost runs a real Prometheus for tests, on loopback and with its data in the test's
// own folder.
//
// It owns finding the programs (PATH, or where hack/host.sh test unpacks Debian's package, whose
// service is never started) and asking the server for alerts and samples. It refuses to install
// anything.
package promhost
