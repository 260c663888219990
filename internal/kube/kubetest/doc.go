// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package kubetest is a cluster in memory for tests: a kube.Client over controller-runtime's
// fake, which knows server-side apply, records every write, and fails where it is told to.
//
// It is a real package so that every package that takes a *kube.Client tests against one
// working fake. It refuses to be more than an object store: no controllers run, so nothing
// becomes ready by itself, and there are no pods to forward to.
package kubetest
