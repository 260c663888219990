// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package graph runs steps that depend on one another.
//
// A Step is a value: what it needs, how to look whether its work is done, and how
// to do it. Running is Look, Do, Look again, and the second Look must find nothing
// left to do. Because Look finds what exists, the same list is a plan (Look alone),
// a first run, a resumed run and a run that changes nothing.
//
// Independent steps run side by side. A step that fails never cancels another one:
// half-made work next door would only be worse wreckage. What depends on it is
// reported as blocked, by name. When the context ends no new step starts, and the
// running ones are told through theirs.
//
// What happens is told as a stream of Events to one observer; the views in
// internal/ui and the run folder's log are such observers.
//
// The package knows nothing of Istio, Kubernetes or clusters beyond a name to group
// by. It does not log, print, retry or carry facts from one step to the next: a
// step that needs to know what an earlier one made looks for itself.
package graph
