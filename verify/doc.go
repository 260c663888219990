// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package verify proves a mesh: it looks and says what it saw.
//
// It owns the suites (trust, discovery, weights, locality, failover, authorization, gateway, dns,
// services), the probes that they send, the checks with their stable IDs, and the report. A check is a
// value (see Checks): the facts that it needs are observed by the observe_*.go files, and
// a pure function in a judge_*.go file turns them into results, so every judgement is
// tested without a cluster. One observation of traffic serves several checks.
//
// A result is pass, warn, fail (the wrong thing was seen), inconclusive (it could not be
// looked at, or too little was seen to tell) or skip. What could not be seen never passes.
//
// The only things that it writes are its own: one namespace in each cluster with
// everything in it, removed on success, failure and interrupt; what a killed run left is
// removed by the next one, and two runs at once refuse each other. The exception has to be asked
// for: a disruptive fault is journalled on the object that it changes and taken back. It refuses to judge the
// mesh from outside: every request is sent by a probe inside it, but for those with which an
// outside client tries an ingress gateway.
package verify
