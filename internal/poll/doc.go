// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package poll is the project's one way to wait: look, wait an interval with jitter, look
// again, until a deadline; and when it gives up, say what was last seen.
//
// It owns intervals, jitter and the wording of a wait that failed. It refuses bare
// time-outs: there is no function here that only lets time pass.
package poll
