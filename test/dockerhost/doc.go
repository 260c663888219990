// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package dockerhost owns a Docker Engine of its own for tests on a host that has none: Debian's
// dockerd on a socket, a data root, an exec root and a pid file below one folder, so that it can
// be started, stopped and thrown away beside whatever else runs there.
//
// It refuses to configure the host: no service is started, no default bridge is made, forwarding
// is left as it is, and where another dockerd runs, the firewall rules that both would write are
// left to that one. A host that can not give containers every capability gets package
// boundedrunc as its runtime.
package dockerhost
