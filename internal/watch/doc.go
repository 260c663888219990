// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package watch shows what `verify --watch` sees: Prometheus metrics and health over HTTP, and one
// line for each change.
//
// It owns the names and labels of the metrics, which are a contract with alert rules and
// dashboards. It refuses to look at clusters, which package verify does, and to decide what a
// result means: it only passes on reports.
package watch
