// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package prober says how the probers that stay in the clusters are installed, and what is done
// with their metrics and those of `verify --watch`: manifests, alert rules, a dashboard.
//
// A prober has the rights of any pod in its cluster and none beside: no token of the API, no Role,
// no Secret. It is applied and removed by whoever applies manifests; this package asks no cluster.
// What a prober does is in package internal/probe, whose image it runs.
package prober
